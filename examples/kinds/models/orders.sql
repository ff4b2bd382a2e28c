/* The latest state of every order: new ones are inserted, known ones updated. */
MODEL (
  name shop.orders,
  kind INCREMENTAL_BY_UNIQUE_KEY (unique_key order_id)
);

SELECT order_id, customer_id, ordered_at AS changed_at, status, amount
FROM shop.order_events
WHERE ordered_at BETWEEN @start_dtntz AND @end_dtntz
QUALIFY ROW_NUMBER() OVER (PARTITION BY order_id ORDER BY ordered_at DESC) = 1
