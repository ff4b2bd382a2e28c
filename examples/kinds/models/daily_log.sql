/* Rows are added and never touched again. */
MODEL (
  name shop.daily_log,
  kind INCREMENTAL_UNMANAGED,
  columns (loaded_for DATE, events BIGINT)
);

SELECT @end_date AS loaded_for, COUNT(*) AS events
FROM shop.order_events
WHERE ordered_at BETWEEN @start_dtntz AND @end_dtntz
