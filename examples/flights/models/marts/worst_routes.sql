-- Which connections should I avoid?
MODEL (
  name marts.worst_routes,
  kind FULL,
  grains (origin, destination),
  audits (
    number_of_rows(threshold := 19),
    unique_values(columns := (ranking)),
    accepted_range(column := late_percent, min_v := 0, max_v := 100)
  )
);

SELECT
  ROW_NUMBER() OVER (ORDER BY late_flights / flights DESC, origin, destination) AS ranking,
  origin,
  destination,
  origin_city,
  destination_city,
  distance_miles,
  flights,
  late_percent,
  average_delay
FROM core.routes
WHERE flights >= @VAR('min_route_flights', 500)
ORDER BY ranking
LIMIT 20
