/** Which database a configuration means, and which files it opens. */
import { MillraceError } from '../../errors.ts'
import { canonicalPath } from '../canonical-path.ts'
import type { ConnectionConfig, DuckDBConfig } from './connection-config.ts'
import type { AttachedDatabase } from './attached-database.ts'
import type { ConnectionType } from './connection-type.ts'
import { toReference } from './credential-reference.ts'
import { duckLakeIdentity, type DuckLakeLocation } from './ducklake-config.ts'
import { motherDuckIdentity } from './motherduck-config.ts'
import { quackIdentity } from './quack-config.ts'
import { canonicalLocation, isRemote } from './resolve-path.ts'

/**
 * Configurations with one identity mean one database, for one tenant: they must be equal, and share one instance.
 * @param key of the whole configuration: a database in memory is one per configuration.
 */
export function databaseIdentity(config: ConnectionConfig, key: string): string {
  switch (config.type) {
    case 'duckdb':
      return config.database === null ? `memory ${key}` : `file ${canonicalPath(config.database)}`
    case 'motherduck':
      return motherDuckIdentity(config)
    case 'ducklake':
      return `${duckLakeIdentity(config)}${tenantOf(config)}`
    case 'quack':
      return quackIdentity(config)
  }
}

/**
 * One database twice in one instance would be two that do not see each other.
 * @throws MillraceError CONFIG naming both places.
 */
export function assertDistinctDatabases(config: ConnectionConfig): void {
  const seen = new Map<string, string>()
  const places = Object.entries(config.catalogs ?? {}).map(([name, one]) => [`catalogs.${name}`, placeOf(one)] as const)
  for (const [name, place] of [[MAIN_KEY[config.type], mainPlace(config)] as const, ...places]) {
    const before = place === null ? undefined : seen.get(place)
    if (before !== undefined) {
      throw new MillraceError(
        'CONFIG',
        `connection.${name}: expected another database than connection.${before}; both are ${place}`,
      )
    }
    if (place !== null) seen.set(place, name)
  }
}

/** Real paths of the database files that an instance opens: its own, attached ones, catalogs of lakes. Sorted, each once. */
export function databaseFiles(config: ConnectionConfig): readonly string[] {
  const files = Object.values(config.catalogs ?? {}).flatMap((database) => {
    if (database.type === 'duckdb' || database.type === 'sqlite') return database.path ?? []
    return database.type === 'ducklake' ? catalogFile(database) : []
  })
  if (config.type === 'duckdb' && config.database !== null) files.push(config.database)
  if (config.type === 'ducklake') files.push(...catalogFile(config))
  return [...new Set(files.filter((file) => !isRemote(file)).map((file) => canonicalPath(file)))].sort()
}

/** Where the main database is written. */
const MAIN_KEY: Readonly<Record<ConnectionType, string>> = {
  duckdb: 'database',
  motherduck: 'database',
  ducklake: 'catalog',
  quack: 'uri',
}

/** Null for what may be there several times. */
function mainPlace(config: ConnectionConfig): string | null {
  if (config.type !== 'duckdb') return placeOf(config)
  return config.database === null ? null : `the file ${canonicalPath(config.database)}`
}

function placeOf(database: AttachedDatabase | Exclude<ConnectionConfig, DuckDBConfig>): string | null {
  switch (database.type) {
    case 'duckdb':
    case 'sqlite':
      return database.path === null ? null : `the file ${canonicalLocation(database.path)}`
    case 'ducklake':
      return database.catalog.kind === 'postgres'
        ? duckLakeIdentity(database)
        : `the file ${canonicalPath(database.catalog.path)}`
    case 'motherduck':
      return `the MotherDuck database ${database.database?.toLowerCase() ?? '(default)'}`
    case 'postgres':
    case 'quack':
      return null
  }
}

/** Others may reach the same lake with rights of their own. */
function tenantOf({ catalog }: DuckLakeLocation): string {
  if (catalog.kind !== 'postgres') return ''
  const { parameters, password } = catalog
  return ` as ${parameters['user'] ?? ''} with ${toReference(password)?.identity ?? 'no password'}`
}

function catalogFile({ catalog }: DuckLakeLocation): string[] {
  return catalog.kind === 'postgres' ? [] : [catalog.path]
}
