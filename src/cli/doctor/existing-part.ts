/** A connection without what does not exist yet, so that to open it makes nothing. */
import { existsSync } from 'node:fs'
import type { ConnectionConfig } from '../../connections/config.ts'
import type { AttachedDatabase } from '../../connections/config/attached-database.ts'
import { isRemote } from '../../connections/config/resolve-path.ts'

export interface ExistingPart {
  /** A database in memory in the place of one that is missing. */
  existing: ConnectionConfig
  /** The file of the connection's own database, if there is none; null when it exists, or is no file. */
  missing: string | null
}

export function existingPart(connection: ConnectionConfig): ExistingPart {
  const known = withExistingCatalogs(connection)
  const file = ownFile(connection)
  if (file === null || existsSync(file)) return { existing: known, missing: null }
  return { existing: inMemory(known), missing: file }
}

function ownFile(connection: ConnectionConfig): string | null {
  if (connection.type === 'duckdb') return connection.database
  if (connection.type !== 'ducklake' || connection.catalog.kind === 'postgres') return null
  return connection.catalog.path
}

/** With the extensions that the missing one needs. */
function inMemory(connection: ConnectionConfig): ConnectionConfig {
  const { root, environment, concurrentTasks, settings, extensionDirectory, catalogs } = connection
  const { defaultCatalog, secrets, pool, ignored } = connection
  const shared = { root, environment, concurrentTasks, settings, extensionDirectory, catalogs }
  const extensions = [...connection.extensions]
  if (connection.type === 'ducklake') {
    const needed = connection.catalog.kind === 'sqlite' ? ['ducklake', 'sqlite_scanner'] : ['ducklake']
    extensions.push(...needed.map((name) => ({ name, repository: null })))
  }
  const place = { type: 'duckdb', database: null, memoryName: null } as const
  return { ...place, ...shared, extensions, defaultCatalog, secrets, pool, ignored }
}

function withExistingCatalogs(connection: ConnectionConfig): ConnectionConfig {
  const { catalogs, defaultCatalog } = connection
  if (catalogs === null) return connection
  const existing = Object.entries(catalogs).filter(([, database]) => {
    const file = attachedFile(database)
    return file === null || isRemote(file) || existsSync(file)
  })
  const isDefaultThere = existing.some(([name]) => name === defaultCatalog)
  return {
    ...connection,
    catalogs: existing.length === 0 ? null : Object.fromEntries(existing),
    defaultCatalog: isDefaultThere ? defaultCatalog : null,
  }
}

function attachedFile(database: AttachedDatabase): string | null {
  if (database.type === 'duckdb' || database.type === 'sqlite') return database.path
  if (database.type !== 'ducklake' || database.catalog.kind === 'postgres') return null
  return database.catalog.path
}
