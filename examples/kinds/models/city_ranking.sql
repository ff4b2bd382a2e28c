/* Made anew as a whole whenever it is due. */
MODEL (
  name shop.city_ranking,
  kind FULL,
  audits (unique_values(columns := (city)), number_of_rows(threshold := 0))
);

SELECT city, SUM(amount) AS sales, RANK() OVER (ORDER BY SUM(amount) DESC) AS place
FROM shop.large_orders
GROUP BY city
