/* Each day once, and exactly the days that are missing. */
MODEL (
  name shop.daily_sales,
  kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 2),
  audits (not_null(columns := (day, sales)))
);

SELECT ordered_at::DATE AS day, COUNT(*) AS orders, SUM(amount) AS sales
FROM shop.paid_orders
WHERE ordered_at BETWEEN @start_dtntz AND @end_dtntz
GROUP BY day
