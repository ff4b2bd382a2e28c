-- On which day of the week should I fly?
MODEL (
  name marts.delays_by_weekday,
  kind FULL,
  grain weekday_number,
  audits (
    number_of_rows(threshold := 6),
    unique_values(columns := (weekday_number, weekday))
  )
);

SELECT
  weekday_number,
  weekday,
  COUNT(*) AS days,
  CAST(SUM(flights) AS BIGINT) AS flights,
  ROUND(100.0 * SUM(late_flights) / SUM(flights), 1) AS late_percent,
  ROUND(SUM(total_delay) / SUM(flights), 1) AS average_delay
FROM core.network_days
GROUP BY weekday_number, weekday
ORDER BY weekday_number
