/** What people would read of a project's tables, small enough to compare between databases. */

export interface TableDigest {
  rows: number
  /** Of all rows, in whatever order. */
  digest: string
  /** `name TYPE`, in the table's order. */
  columns: string[]
}

/** Every view outside of Millrace's own schemas, by name. @param rows runs a query where the views are. */
export async function digestTables(
  rows: (sql: string) => Promise<Record<string, unknown>[]>,
): Promise<Record<string, TableDigest>> {
  const views = await rows(
    `SELECT schema_name || '.' || view_name AS name FROM duckdb_views()
     WHERE NOT internal AND NOT schema_name.starts_with('millrace') AND database_name = current_database() ORDER BY ALL`,
  )
  const digests: Record<string, TableDigest> = {}
  for (const name of views.map((view) => String(view['name']))) {
    const columns = await rows(`SELECT column_name || ' ' || column_type AS described FROM (DESCRIBE ${name})`)
    const [digest] = await rows(
      `SELECT count(*)::INTEGER AS rows, sum(hash(one)::HUGEINT)::VARCHAR AS digest FROM ${name} AS one`,
    )
    digests[name] = {
      rows: Number(digest?.['rows']),
      digest: String(digest?.['digest']),
      columns: columns.map(({ described }) => String(described)),
    }
  }
  return digests
}
