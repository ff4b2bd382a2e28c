/** The name of the catalog that a connection's unqualified names mean. */
import { basename } from 'node:path'

/** Of a server that decides it: no catalog in a model's name is that one. */
const UNKNOWN = '(default)'

/**
 * @param connection as in config.yaml, not checked.
 * @returns in lower case: a file's name up to its first dot, as DuckDB calls it; `memory` without one, but the first attached catalog
 * if there is no `database` at all; of a lake and a Quack server its `database`, `lake` and `(default)` without one.
 */
export function defaultCatalogOf(connection: Record<string, unknown>): string {
  const database = textOf(connection['database'])
  switch (textOf(connection['type']).toLowerCase()) {
    case 'ducklake':
      return database.toLowerCase() || 'lake'
    case 'quack':
      return (database || databaseIn(textOf(connection['uri']))).toLowerCase() || UNKNOWN
    case 'motherduck':
      return nameOf(database)
    default:
      return database === '' ? (firstAttached(connection['catalogs']) ?? 'memory') : nameOf(database)
  }
}

function nameOf(database: string): string {
  const path = database.replace(/^(md|motherduck|duckdb):/i, '').replace(/\?.*$/s, '')
  if (path === '' || path.startsWith(':memory:')) return 'memory'
  return (basename(path).split('.')[0] ?? path).toLowerCase()
}

/** `quack:host?database=name` */
function databaseIn(uri: string): string {
  const [, query = ''] = uri.split('?', 2)
  return new URLSearchParams(query).get('database') ?? ''
}

function firstAttached(catalogs: unknown): string | null {
  const [first] = typeof catalogs === 'object' && catalogs !== null ? Object.keys(catalogs) : []
  if (first === undefined) return null
  return first
    .trim()
    .replace(/^"(.*)"$/s, '$1')
    .toLowerCase()
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
