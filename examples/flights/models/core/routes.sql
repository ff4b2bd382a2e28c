-- Which airports are connected, how far apart are they, and how reliable is the connection?
-- map_miles is the great-circle distance between the two airports' coordinates.
MODEL (
  name core.routes,
  kind FULL,
  grains (origin, destination),
  audits (
    not_null(columns := (origin, destination, origin_airport, destination_airport)),
    unique_combination_of_columns(columns := (origin, destination)),
    distance_matches_map
  )
);

WITH totals AS (
  SELECT
    origin,
    destination,
    MAX(distance_miles) AS distance_miles,
    COUNT(*) AS flights,
    COUNT(*) FILTER (WHERE is_late) AS late_flights,
    CAST(SUM(delay_minutes) AS BIGINT) AS total_delay
  FROM core.departures
  GROUP BY origin, destination
)
SELECT
  totals.origin,
  totals.destination,
  departure.airport_name AS origin_airport,
  departure.city AS origin_city,
  departure.region AS origin_region,
  arrival.airport_name AS destination_airport,
  arrival.city AS destination_city,
  arrival.region AS destination_region,
  totals.distance_miles,
  ROUND(
    2 * 3959 * ASIN(SQRT(
      POWER(SIN(RADIANS(arrival.latitude - departure.latitude) / 2), 2)
      + COS(RADIANS(departure.latitude)) * COS(RADIANS(arrival.latitude))
        * POWER(SIN(RADIANS(arrival.longitude - departure.longitude) / 2), 2)
    )),
    1
  ) AS map_miles,
  totals.flights,
  totals.late_flights,
  totals.total_delay,
  ROUND(100.0 * totals.late_flights / totals.flights, 1) AS late_percent,
  ROUND(totals.total_delay / totals.flights, 1) AS average_delay
FROM totals
LEFT JOIN core.located_airports AS departure
  ON departure.iata = totals.origin
LEFT JOIN core.located_airports AS arrival
  ON arrival.iata = totals.destination
ORDER BY totals.origin, totals.destination
