-- Lists the rows whose column is below zero. An audit of the project's own: any query that returns bad rows.
AUDIT (
  name not_negative
);

SELECT *
FROM @this_model
WHERE @column < 0;
