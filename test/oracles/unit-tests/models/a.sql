MODEL (name s.a, kind FULL);
SELECT id::INT AS id, v::DOUBLE AS v, name::TEXT AS name, ts::TIMESTAMP AS ts, ts::DATE AS d FROM raw.t WHERE id < @lim
