-- How do the sales add up, and what tax is due on them?
MODEL (
  name shop.sales_report,
  kind FULL,
  grain order_date,
  audits (
    forall(criteria := (sales_so_far >= sales, tax < sales))
  )
);

SELECT
  order_date,
  orders,
  sales,
  SUM(sales) OVER (ORDER BY order_date) AS sales_so_far,
  CAST(sales * @tax_percent / 100 AS DECIMAL(12, 2)) AS tax
FROM shop.daily_sales
ORDER BY order_date
