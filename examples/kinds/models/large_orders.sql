/* What counts as large, in one place: a sub-query in whoever reads it. */
MODEL (
  name shop.large_orders,
  kind EMBEDDED
);

SELECT * FROM shop.order_events WHERE amount >= 40
