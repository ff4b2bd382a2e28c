-- One row per flight: when it left, from where to where, and was it late?
-- The range audit only warns: the source holds a few flights a day late or hours early, which are clock errors.
MODEL (
  name core.departures,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column flight_date,
    batch_size 31
  ),
  start '2001-01-01',
  end '2001-06-30',
  audits (
    number_of_rows(threshold := 0),
    not_null(columns := (flight_date, departed_at, origin, destination, delay_minutes)),
    forall(criteria := (origin <> destination, distance_miles > 0)),
    accepted_range(column := delay_minutes, min_v := -120, max_v := 1380, blocking := false)
  )
);

SELECT
  flight_date,
  departed_at,
  HOUR(departed_at) AS departure_hour,
  origin,
  destination,
  distance_miles,
  delay_minutes,
  delay_minutes >= @late_minutes AS is_late
FROM staging.flights
WHERE departed_at BETWEEN @start_ts AND @end_ts
