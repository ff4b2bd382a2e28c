/* The history of each customer's plan, by comparing values: for sources that do not say when something changed. */
MODEL (
  name shop.customer_plans,
  kind SCD_TYPE_2_BY_COLUMN (unique_key customer_id, columns [plan], invalidate_hard_deletes true),
  columns (customer_id INT, plan TEXT)
);

SELECT customer_id, plan
FROM shop.customer_events
WHERE updated_at <= @end_dtntz
QUALIFY ROW_NUMBER() OVER (PARTITION BY customer_id ORDER BY updated_at DESC) = 1
