/* Every change of a customer, as it came in. */
MODEL (
  name shop.customer_events,
  kind SEED (path '../seeds/customers.csv'),
  columns (customer_id INT, name TEXT, plan TEXT, updated_at TIMESTAMP)
);
