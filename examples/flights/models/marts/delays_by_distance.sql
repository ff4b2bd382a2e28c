-- Do long flights arrive later than short ones?
MODEL (
  name marts.delays_by_distance,
  kind FULL,
  grain from_miles,
  audits (
    unique_values(columns := (from_miles)),
    accepted_values(column := band, is_in := ('short', 'medium', 'long', 'very long', 'longest'))
  )
);

WITH bands AS (
  SELECT
    CASE
      WHEN distance_miles < 250 THEN 0
      WHEN distance_miles < 750 THEN 250
      WHEN distance_miles < 1500 THEN 750
      WHEN distance_miles < 2500 THEN 1500
      ELSE 2500
    END AS from_miles,
    flights,
    late_flights,
    total_delay
  FROM core.routes
)
SELECT
  from_miles,
  CASE from_miles
    WHEN 0 THEN 'short'
    WHEN 250 THEN 'medium'
    WHEN 750 THEN 'long'
    WHEN 1500 THEN 'very long'
    ELSE 'longest'
  END AS band,
  COUNT(*) AS routes,
  CAST(SUM(flights) AS BIGINT) AS flights,
  ROUND(100.0 * SUM(late_flights) / SUM(flights), 1) AS late_percent,
  ROUND(SUM(total_delay) / SUM(flights), 1) AS average_delay
FROM bands
GROUP BY from_miles
ORDER BY from_miles
