-- Is it getting better? Each month against the one before.
MODEL (
  name marts.monthly_trend,
  kind FULL,
  grain month,
  audits (
    unique_values(columns := (month)),
    forall(criteria := (flights > 0, days BETWEEN 28 AND 31))
  )
);

WITH months AS (
  SELECT
    CAST(DATE_TRUNC('month', flight_date) AS DATE) AS month,
    COUNT(*) AS days,
    CAST(SUM(flights) AS BIGINT) AS flights,
    ROUND(SUM(flights) / COUNT(*), 0) AS flights_per_day,
    ROUND(100.0 * SUM(late_flights) / SUM(flights), 1) AS late_percent
  FROM core.network_days
  GROUP BY DATE_TRUNC('month', flight_date)
)
SELECT
  month,
  days,
  flights,
  CAST(flights_per_day AS BIGINT) AS flights_per_day,
  late_percent,
  ROUND(late_percent - LAG(late_percent) OVER (ORDER BY month), 1) AS late_percent_change
FROM months
ORDER BY month
