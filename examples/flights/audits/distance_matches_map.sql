-- The distance of a route is stated by the flights and follows from the airports' coordinates: lists the routes where
-- the two disagree by more than the tolerance, which would mean a wrong airport.
AUDIT (
  name distance_matches_map,
  defaults (tolerance = 0.02)
);

SELECT origin, destination, distance_miles, map_miles
FROM @this_model
WHERE map_miles IS NULL OR ABS(distance_miles / map_miles - 1) > @tolerance;
