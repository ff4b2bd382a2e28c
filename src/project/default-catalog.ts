/** The name DuckDB gives a connection's main database. */
import { basename } from 'node:path'

/**
 * @param connection as in config.yaml. A file is called after its name up to the first dot, as DuckDB does it;
 * no database or `:memory:` is `memory`.
 */
export function defaultCatalogOf(connection: Record<string, unknown>): string {
  const database = typeof connection['database'] === 'string' ? connection['database'] : ':memory:'
  if (database === ':memory:' || database === '') return 'memory'
  return (
    basename(database.replace(/^(md|motherduck):/i, '').replace(/\?.*$/s, '')).split('.')[0] ?? database
  ).toLowerCase()
}
