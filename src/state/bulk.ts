/** Many rows in one statement. */
import { quoteString } from '../sql/identifiers.ts'

/** A JSON-serializable row. */
export type BulkRow = Record<string, string | number | boolean | null>

/**
 * `INSERT INTO table (columns)` for all `rows` at once; they travel as JSON.
 * @param columns column → DuckDB type, in insertion order; fixed text of the program, never user input.
 * @param options `key`: a column; rows whose key the table has, or an earlier row, are left out. By hand, since not every database has keys.
 */
export function bulkInsert(
  table: string,
  columns: Record<string, string>,
  rows: readonly BulkRow[],
  { key }: { key?: string } = {},
): string {
  const names = Object.keys(columns)
  const structure = JSON.stringify([columns])
  const fresh =
    key === undefined
      ? ''
      : `WHERE NOT EXISTS (SELECT 1 FROM ${table} AS present WHERE present.${key} = row.${key}) QUALIFY row_number() OVER (PARTITION BY row.${key}) = 1`
  return `INSERT INTO ${table} (${names.join(', ')})
    SELECT ${names.map((name) => `row.${name}`).join(', ')}
    FROM (SELECT unnest(from_json(${quoteString(JSON.stringify(rows))}, '${structure}')) AS row) ${fresh}`
}
