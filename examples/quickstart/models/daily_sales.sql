-- What did we sell each day? Built day by day: a build computes only the days that are missing.
MODEL (
  name shop.daily_sales,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column order_date,
    batch_size 5
  ),
  start '2024-03-01',
  end '2024-03-10',
  grain order_date,
  audits (
    number_of_rows(threshold := 0),
    unique_values(columns := (order_date))
  )
);

SELECT
  order_date,
  COUNT(*) AS orders,
  SUM(amount) AS sales
FROM shop.paid_orders
WHERE order_date BETWEEN @start_date AND @end_date
GROUP BY order_date
ORDER BY order_date
