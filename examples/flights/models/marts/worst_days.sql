-- On which days did it all go wrong, and which big airport suffered most?
MODEL (
  name marts.worst_days,
  kind FULL,
  grain flight_date,
  audits (
    number_of_rows(threshold := 19),
    unique_values(columns := (ranking, flight_date)),
    not_null(columns := (worst_airport))
  )
);

WITH days AS (
  SELECT
    ROW_NUMBER() OVER (ORDER BY late_flights / flights DESC, flight_date) AS ranking,
    flight_date,
    weekday,
    flights,
    late_percent
  FROM core.network_days
),
airports AS (
  SELECT
    flight_date,
    iata,
    ROUND(100.0 * late_flights / flights, 1) AS late_percent,
    ROW_NUMBER() OVER (PARTITION BY flight_date ORDER BY late_flights / flights DESC, iata) AS airport_ranking
  FROM core.airport_days
  WHERE flights >= 100
)
SELECT
  days.ranking,
  days.flight_date,
  days.weekday,
  days.flights,
  days.late_percent,
  airports.iata AS worst_airport,
  airports.late_percent AS worst_airport_late_percent
FROM days
LEFT JOIN airports
  ON airports.flight_date = days.flight_date AND airports.airport_ranking = 1
WHERE days.ranking <= 20
ORDER BY days.ranking
