-- Which part of which day of the week is the safest to book, and which the riskiest?
-- The night is left out: what leaves then is mostly the evening's late flights.
MODEL (
  name marts.best_times_to_fly,
  kind FULL,
  grains (weekday, day_part),
  audits (
    unique_combination_of_columns(columns := (weekday, day_part)),
    unique_values(columns := (ranking))
  )
);

WITH times AS (
  SELECT
    DAYNAME(hourly_delays.flight_date) AS weekday,
    day_parts.day_part,
    SUM(hourly_delays.flights) AS flights,
    SUM(hourly_delays.late_flights) AS late_flights
  FROM core.hourly_delays AS hourly_delays
  JOIN staging.day_parts AS day_parts
    ON hourly_delays.departure_hour BETWEEN day_parts.from_hour AND day_parts.to_hour
  WHERE day_parts.day_part <> 'night'
  GROUP BY DAYNAME(hourly_delays.flight_date), day_parts.day_part
)
SELECT
  ROW_NUMBER() OVER (ORDER BY late_flights / flights, weekday, day_part) AS ranking,
  weekday,
  day_part,
  CAST(flights AS BIGINT) AS flights,
  ROUND(100.0 * late_flights / flights, 1) AS late_percent
FROM times
ORDER BY ranking
