MODEL (name s.c, kind INCREMENTAL_BY_TIME_RANGE (time_column d));
SELECT id, d, @start_ds AS s, @end_ts AS e, @execution_ds AS x FROM s.a WHERE d BETWEEN @start_date AND @end_date
