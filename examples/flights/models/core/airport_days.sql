-- How many flights left each airport each day, and how many of them arrived late?
MODEL (
  name core.airport_days,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column flight_date,
    batch_size 31
  ),
  start '2001-01-01',
  end '2001-06-30',
  grains (flight_date, iata),
  audits (
    number_of_rows(threshold := 0),
    unique_combination_of_columns(columns := (flight_date, iata)),
    forall(criteria := (flights > 0, late_flights <= flights))
  )
);

SELECT
  flight_date,
  origin AS iata,
  COUNT(*) AS flights,
  COUNT(*) FILTER (WHERE is_late) AS late_flights,
  CAST(SUM(delay_minutes) AS BIGINT) AS total_delay
FROM core.departures
WHERE flight_date BETWEEN @start_date AND @end_date
GROUP BY flight_date, origin
ORDER BY flight_date, iata
