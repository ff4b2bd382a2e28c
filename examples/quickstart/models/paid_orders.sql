-- The orders that count. Embedded: no table of its own, its readers get it as a sub-query.
MODEL (
  name shop.paid_orders,
  kind EMBEDDED
);

SELECT order_id, order_date, product, quantity, amount
FROM shop.orders
WHERE status = 'paid'
