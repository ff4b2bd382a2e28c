-- Every airport with its place on the map. The file writes NA where it knows no city or state.
MODEL (
  name staging.airports,
  kind VIEW,
  grain iata,
  audits (
    not_null(columns := (iata, airport_name, latitude, longitude)),
    unique_values(columns := (iata)),
    accepted_range(column := latitude, min_v := -90, max_v := 90),
    accepted_range(column := longitude, min_v := -180, max_v := 180)
  )
);

SELECT
  iata,
  name AS airport_name,
  NULLIF(city, 'NA') AS city,
  NULLIF(state, 'NA') AS state,
  country,
  latitude,
  longitude
FROM read_csv('../../node_modules/vega-datasets/data/airports.csv', header = true)
