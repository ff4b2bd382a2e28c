/** A DuckDB file, or a database in memory. */
import { canonicalPath } from '../canonical-path.ts'
import { readText, wrongValue } from './read-value.ts'
import { isRemote, resolvePath, type ConnectionContext } from './resolve-path.ts'

export interface DuckDBLocation {
  /** Absolute path of the file; null for a database in memory. */
  database: string | null
  /** `a` of `:memory:a`: databases in memory of different names are different. Null for `:memory:` and files. */
  memoryName: string | null
}

/** `token` is that of attached MotherDuck databases. */
export const DUCKDB_KEYS = ['database', 'token']

/** @param database as written; undefined, empty and `:memory:` are in memory. @throws MillraceError CONFIG */
export function parseDuckDBPath(database: unknown, key: string, context: ConnectionContext): DuckDBLocation {
  if (database === undefined || database === '') return { database: null, memoryName: null }
  const path = readText(database, key).replace(/^duckdb:/i, '')
  const memory = /^:memory:(.*)$/s.exec(path)
  if (memory !== null) return { database: null, memoryName: memory[1] === '' ? null : (memory[1] ?? null) }
  // Attached, they are fine; nothing of Millrace's own can be kept in them.
  if (/^(?:postgres(?:ql)?|sqlite):/i.test(path)) throw wrongValue(key, 'a DuckDB file (others go into catalogs)', path)
  if (isRemote(path)) throw wrongValue(key, 'a file of this machine (others go into catalogs, to be read)', path)
  return { database: resolvePath(path, context), memoryName: null }
}

/** A file belongs to whoever names it; a database in memory to its project. */
export function canonicalDuckDB(location: DuckDBLocation, root: string): Record<string, unknown> {
  const { database, memoryName } = location
  if (database !== null) return { database: canonicalPath(database) }
  return { database: `:memory:${memoryName ?? ''}`, project: canonicalPath(root) }
}
