-- Airports with their state and region. Embedded: no table of its own, each reader gets it as a sub-query.
MODEL (
  name core.located_airports,
  kind EMBEDDED
);

SELECT
  airports.iata,
  airports.airport_name,
  airports.city,
  airports.latitude,
  airports.longitude,
  us_states.state_name,
  COALESCE(us_states.region, 'Unknown') AS region
FROM staging.airports AS airports
LEFT JOIN staging.us_states AS us_states
  ON us_states.state = airports.state
