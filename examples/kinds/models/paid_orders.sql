/* Never stored: computed when it is read. */
MODEL (
  name shop.paid_orders,
  kind VIEW
);

SELECT order_id, customer_id, city, ordered_at, amount
FROM shop.order_events
WHERE status = 'paid'
