-- A day without a single flight would be a hole in the data: lists each day whose predecessor is not the day before.
AUDIT (
  name no_missing_days
);

SELECT day, previous_day
FROM (
  SELECT
    @day_column AS day,
    LAG(@day_column) OVER (ORDER BY @day_column) AS previous_day
  FROM @this_model
) AS days
WHERE day - previous_day <> 1;
