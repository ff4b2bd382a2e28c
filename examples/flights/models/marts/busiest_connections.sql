-- Between which two airports do most flights go, both ways counted?
MODEL (
  name marts.busiest_connections,
  kind VIEW,
  grains (airport, other_airport),
  audits (
    unique_combination_of_columns(columns := (airport, other_airport)),
    forall(criteria := (airport < other_airport))
  )
);

WITH connections AS (
  SELECT
    LEAST(origin, destination) AS airport,
    GREATEST(origin, destination) AS other_airport,
    MAX(distance_miles) AS distance_miles,
    CAST(SUM(flights) AS BIGINT) AS flights,
    ROUND(100.0 * SUM(late_flights) / SUM(flights), 1) AS late_percent
  FROM core.routes
  GROUP BY LEAST(origin, destination), GREATEST(origin, destination)
)
SELECT
  ROW_NUMBER() OVER (ORDER BY flights DESC, airport, other_airport) AS ranking,
  airport,
  other_airport,
  distance_miles,
  flights,
  late_percent
FROM connections
