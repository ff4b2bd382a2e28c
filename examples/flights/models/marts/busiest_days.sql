-- On which days was the sky fullest, and did it hold up?
MODEL (
  name marts.busiest_days,
  kind FULL,
  grain flight_date,
  audits (
    number_of_rows(threshold := 19),
    unique_values(columns := (ranking, flight_date))
  )
);

SELECT
  ROW_NUMBER() OVER (ORDER BY flights DESC, flight_date) AS ranking,
  flight_date,
  weekday,
  flights,
  late_percent
FROM core.network_days
ORDER BY ranking
LIMIT 20
