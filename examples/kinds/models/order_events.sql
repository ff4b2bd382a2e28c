/* Every change of an order, as it came in. */
MODEL (
  name shop.order_events,
  kind SEED (path '../seeds/orders.csv'),
  columns (order_id INT, customer_id INT, city TEXT, ordered_at TIMESTAMP, status TEXT, amount DECIMAL(10, 2))
);
