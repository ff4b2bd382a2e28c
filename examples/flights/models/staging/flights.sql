-- Every US domestic flight of the file, with names that say what the columns hold.
-- Times are local to the origin; a negative delay is an early arrival.
MODEL (
  name staging.flights,
  kind VIEW,
  audits (
    not_null(columns := (departed_at, delay_minutes, distance_miles, origin, destination)),
    number_of_rows(threshold := 2000000)
  )
);

SELECT
  date AS departed_at,
  CAST(date AS DATE) AS flight_date,
  delay AS delay_minutes,
  distance AS distance_miles,
  origin,
  destination
FROM read_parquet('../../node_modules/vega-datasets/data/flights-3m.parquet')
