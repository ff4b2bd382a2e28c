-- What was each order worth?
MODEL (
  name shop.orders,
  kind VIEW,
  grain order_id,
  audits (
    accepted_range(column := amount, min_v := 0, inclusive := false)
  )
);

SELECT
  order_id,
  CAST(ordered_at AS DATE) AS order_date,
  product,
  quantity,
  quantity * unit_price AS amount,
  status
FROM shop.raw_orders
