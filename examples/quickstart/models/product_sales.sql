-- Which products earn the money?
MODEL (
  name shop.product_sales,
  kind FULL,
  grain product,
  audits (
    unique_values(columns := (product)),
    not_negative(column := sales)
  )
);

SELECT
  product,
  CAST(SUM(quantity) AS BIGINT) AS pieces,
  SUM(amount) AS sales
FROM shop.paid_orders
GROUP BY product
ORDER BY sales DESC, product
