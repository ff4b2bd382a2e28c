-- Ten days of orders of a coffee stand, as its till wrote them.
MODEL (
  name shop.raw_orders,
  kind SEED (path '../seeds/orders.csv'),
  columns (
    order_id INT,
    ordered_at TIMESTAMP,
    product TEXT,
    quantity INT,
    unit_price DECIMAL(8, 2),
    status TEXT
  ),
  grain order_id,
  audits (
    unique_values(columns := (order_id)),
    not_null(columns := (ordered_at, product, quantity, unit_price)),
    accepted_values(column := status, is_in := ('paid', 'cancelled', 'refunded'))
  )
);
