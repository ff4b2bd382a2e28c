-- When in the day should I fly? Delays pile up from breakfast to midnight.
-- Few flights are planned for the small hours: most that leave then should have left the evening before.
MODEL (
  name marts.delays_by_hour,
  kind FULL,
  grain departure_hour,
  audits (
    unique_values(columns := (departure_hour)),
    not_null(columns := (day_part)),
    accepted_range(column := late_percent, min_v := 0, max_v := 100)
  )
);

SELECT
  hourly_delays.departure_hour,
  day_parts.day_part,
  CAST(SUM(hourly_delays.flights) AS BIGINT) AS flights,
  ROUND(100.0 * SUM(hourly_delays.late_flights) / SUM(hourly_delays.flights), 1) AS late_percent,
  ROUND(SUM(hourly_delays.total_delay) / SUM(hourly_delays.flights), 1) AS average_delay
FROM core.hourly_delays AS hourly_delays
LEFT JOIN staging.day_parts AS day_parts
  ON hourly_delays.departure_hour BETWEEN day_parts.from_hour AND day_parts.to_hour
GROUP BY hourly_delays.departure_hour, day_parts.day_part
ORDER BY hourly_delays.departure_hour
