/* Cities with orders on a day are replaced as a whole, an order without a city included. */
MODEL (
  name shop.sales_by_city,
  kind INCREMENTAL_BY_PARTITION,
  partitioned_by (city)
);

SELECT city, COUNT(*) AS events, SUM(amount) AS sales
FROM shop.order_events
WHERE ordered_at <= @end_dtntz
GROUP BY city
