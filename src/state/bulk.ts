/** Many rows in one statement. */

/** A JSON-serializable row. */
export type BulkRow = Record<string, string | number | boolean | null>

export interface BulkStatement {
  sql: string
  values: [string]
}

/**
 * `INSERT INTO table (columns)` for all `rows` at once; the rows travel as one JSON parameter.
 * @param columns column → DuckDB type, in insertion order; fixed text of the program, never user input.
 * @param conflict e.g. `ON CONFLICT DO NOTHING`.
 */
export function bulkInsert(
  table: string,
  columns: Record<string, string>,
  rows: readonly BulkRow[],
  conflict = '',
): BulkStatement {
  const names = Object.keys(columns)
  const structure = JSON.stringify([columns])
  return {
    sql: `INSERT INTO ${table} (${names.join(', ')})
      SELECT ${names.map((name) => `row.${name}`).join(', ')} FROM (SELECT unnest(from_json($1, '${structure}')) AS row) ${conflict}`,
    values: [JSON.stringify(rows)],
  }
}
