-- How many flights left in each hour of each day, and how late did they arrive?
MODEL (
  name core.hourly_delays,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column flight_date,
    batch_size 31
  ),
  start '2001-01-01',
  end '2001-06-30',
  grains (flight_date, departure_hour),
  audits (
    number_of_rows(threshold := 0),
    unique_combination_of_columns(columns := (flight_date, departure_hour)),
    accepted_range(column := departure_hour, min_v := 0, max_v := 23),
    forall(criteria := (late_flights <= flights))
  )
);

SELECT
  flight_date,
  departure_hour,
  COUNT(*) AS flights,
  COUNT(*) FILTER (WHERE is_late) AS late_flights,
  CAST(SUM(delay_minutes) AS BIGINT) AS total_delay
FROM core.departures
WHERE flight_date BETWEEN @start_date AND @end_date
GROUP BY flight_date, departure_hour
ORDER BY flight_date, departure_hour
