/** A configuration in its one spelling: what it is known by, and which database it means. */
import { canonicalAttached } from './config/attached-database.ts'
import type { ConnectionConfig } from './config.ts'
import { databaseFiles, databaseIdentity } from './config/database-identity.ts'
import { canonicalDuckDB } from './config/duckdb-config.ts'
import { canonicalDuckLake } from './config/ducklake-config.ts'
import { canonicalExtensions } from './config/extensions.ts'
import { flatten, type Canonical } from './config/flatten.ts'
import { canonicalMotherDuck } from './config/motherduck-config.ts'
import { canonicalPool } from './config/pool-config.ts'
import { canonicalQuack } from './config/quack-config.ts'
import { canonicalSecret } from './config/secret-config.ts'
import { canonicalSettings } from './config/settings.ts'
import { canonicalPath } from './canonical-path.ts'

export interface NormalizedConnection {
  /** One text: equal for equal meanings, without secrets or hashes of them. */
  key: string
  /** What the key is made of, for showing how two configurations differ. */
  canonical: Canonical
  /** Which database it is, and for whom: those with one identity must have one key, and share one instance. */
  identity: string
  /** Real paths of every database file that an instance of it opens, attached ones too. */
  files: readonly string[]
}

/**
 * Deep and order-insensitive; defaults are filled in, paths are real ones (of the folder when the file does not exist yet).
 * A secret is left out; what it is known by (a variable's name, a file, a client) stays. Pure but for paths. Never throws.
 */
export function normalize(config: ConnectionConfig): NormalizedConnection {
  const canonical = canonicalConfig(config)
  const key = JSON.stringify(canonical)
  return {
    key,
    canonical,
    identity: databaseIdentity(config, key),
    // Only when it is asked for: every lease is normalized, and each of these paths asks the file system.
    get files() {
      return databaseFiles(config)
    },
  }
}

/** `key` of `normalize`. */
export function connectionKey(config: ConnectionConfig): string {
  return JSON.stringify(canonicalConfig(config))
}

/** `canonical` of `normalize`. */
export function canonicalConfig(config: ConnectionConfig): Canonical {
  const { type, concurrentTasks, settings, extensions, extensionDirectory, catalogs, secrets, pool } = config
  return flatten({
    ...place(config),
    type,
    concurrent_tasks: concurrentTasks,
    connector_config: unlessEmpty(canonicalSettings(settings)),
    extensions: unlessEmpty(canonicalExtensions(extensions)),
    extension_directory: extensionDirectory === null ? null : canonicalPath(extensionDirectory),
    catalogs: byName(catalogs, canonicalAttached),
    default_catalog: config.defaultCatalog,
    secrets:
      secrets === null ? null : byName(Object.fromEntries(secrets.map((one) => [one.name, one])), canonicalSecret),
    pool: canonicalPool(pool, type),
  })
}

function place(config: ConnectionConfig): Record<string, unknown> {
  switch (config.type) {
    case 'duckdb':
      return canonicalDuckDB(config, config.root)
    case 'motherduck':
      return canonicalMotherDuck(config)
    case 'ducklake':
      return { ...canonicalDuckLake(config), database: config.database }
    case 'quack':
      return canonicalQuack(config)
  }
}

function byName<T>(record: Readonly<Record<string, T>> | null, canonical: (value: T) => unknown): unknown {
  if (record === null) return null
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, canonical(value)]))
}

/** Nothing written and nothing in it are one. */
function unlessEmpty<T extends object>(value: T): T | null {
  return Object.keys(value).length === 0 ? null : value
}
