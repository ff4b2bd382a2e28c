-- From which part of the country do flights arrive late?
-- One airport (MQT) has no state in the source, so no region; its 108 flights are left out.
MODEL (
  name marts.region_delays,
  kind FULL,
  grain region,
  audits (
    unique_values(columns := (region)),
    accepted_values(column := region, is_in := ('Northeast', 'Midwest', 'South', 'West', 'Territories'))
  )
);

SELECT
  airports.region,
  COUNT(DISTINCT airport_days.iata) AS airports,
  CAST(SUM(airport_days.flights) AS BIGINT) AS flights,
  ROUND(100.0 * SUM(airport_days.late_flights) / SUM(airport_days.flights), 1) AS late_percent,
  ROUND(SUM(airport_days.total_delay) / SUM(airport_days.flights), 1) AS average_delay
FROM core.airport_days AS airport_days
JOIN core.located_airports AS airports
  ON airports.iata = airport_days.iata
WHERE airports.region <> 'Unknown'
GROUP BY airports.region
ORDER BY late_percent DESC, airports.region
