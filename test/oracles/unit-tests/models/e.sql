MODEL (name s.e, kind FULL);
SELECT CAST(1.5 AS DECIMAL(9,2)) AS dec, 1 AS one, true AS yes, 'x' AS txt, [1,2] AS l, {'a': 1} AS st, NULL::INT AS n, DATE '2024-01-01' AS d, id FROM s.a
