-- Which big airports get you away on time?
MODEL (
  name marts.airport_ranking,
  kind FULL,
  grain iata,
  audits (
    number_of_rows(threshold := 10),
    unique_values(columns := (ranking, iata)),
    not_null(columns := (airport_name))
  )
);

WITH totals AS (
  SELECT
    iata,
    SUM(flights) AS flights,
    SUM(late_flights) AS late_flights,
    SUM(total_delay) AS total_delay
  FROM core.airport_days
  GROUP BY iata
  HAVING SUM(flights) >= @min_airport_flights
)
SELECT
  ROW_NUMBER() OVER (ORDER BY totals.late_flights / totals.flights, totals.iata) AS ranking,
  totals.iata,
  airports.airport_name,
  airports.city,
  airports.region,
  CAST(totals.flights AS BIGINT) AS flights,
  ROUND(100.0 * totals.late_flights / totals.flights, 1) AS late_percent,
  ROUND(totals.total_delay / totals.flights, 1) AS average_delay
FROM totals
LEFT JOIN core.located_airports AS airports
  ON airports.iata = totals.iata
ORDER BY ranking
