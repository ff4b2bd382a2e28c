MODEL (name s.b, kind FULL);
WITH x AS (SELECT id, v FROM s.a), y AS (SELECT id, sum(v) AS v FROM x GROUP BY 1)
SELECT id, v, CURRENT_DATE AS today, CURRENT_TIMESTAMP AS now_ FROM y ORDER BY id
