-- What did each day look like over the whole country?
MODEL (
  name core.network_days,
  kind INCREMENTAL_BY_TIME_RANGE (
    time_column flight_date
  ),
  start '2001-01-01',
  end '2001-06-30',
  grain flight_date,
  audits (
    unique_values(columns := (flight_date)),
    no_missing_days(day_column := flight_date),
    accepted_range(column := late_percent, min_v := 0, max_v := 100)
  )
);

SELECT
  flight_date,
  ISODOW(flight_date) AS weekday_number,
  DAYNAME(flight_date) AS weekday,
  CAST(SUM(flights) AS BIGINT) AS flights,
  CAST(SUM(late_flights) AS BIGINT) AS late_flights,
  CAST(SUM(total_delay) AS BIGINT) AS total_delay,
  ROUND(100.0 * SUM(late_flights) / SUM(flights), 1) AS late_percent
FROM core.hourly_delays
WHERE flight_date BETWEEN @start_date AND @end_date
GROUP BY flight_date
ORDER BY flight_date
