/* The history of each customer, by the time of the change. */
MODEL (
  name shop.customers,
  kind SCD_TYPE_2_BY_TIME (unique_key customer_id, updated_at_as_valid_from true, batch_size 1),
  columns (customer_id INT, name TEXT, plan TEXT, updated_at TIMESTAMP)
);

SELECT customer_id, name, plan, updated_at
FROM shop.customer_events
WHERE updated_at <= @end_dtntz
QUALIFY ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY updated_at DESC) = 1
