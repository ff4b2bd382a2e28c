/** What connections of every type have. */
import { resolve } from 'node:path'
import { MillraceError } from '../../errors.ts'
import type { Credential } from '../credentials/credential.ts'
import { parseAttachedDatabases, type AttachedDatabases } from './attached-database.ts'
import { ConnectionEnvironment } from './connection-environment.ts'
import type { ConnectionType } from './connection-type.ts'
import { parseExtensions, type ExtensionConfig } from './extensions.ts'
import { parsePool, type PoolConfig } from './pool-config.ts'
import { readInteger, readText, type Data } from './read-value.ts'
import { resolvePath, type ConnectionContext } from './resolve-path.ts'
import { parseSecrets, type SecretConfig } from './secret-config.ts'
import { toSettings, type Settings } from './settings.ts'

export interface SharedConfig {
  /** The project's folder, absolute: relative paths in SQL are relative to it. */
  root: string
  /** Where its credentials look variables up. Not part of what the connection is known by. */
  environment: ConnectionEnvironment
  /** Leases at once in one process. Default 8. */
  concurrentTasks: number
  /** DuckDB settings (`connector_config`) as text, names in lower case, folders absolute, but for `extension_directory`. */
  settings: Settings
  extensions: readonly ExtensionConfig[]
  extensionDirectory: string | null
  /** Attached databases; null for none. */
  catalogs: AttachedDatabases | null
  /** The catalog that unqualified names mean: the first attached one if no `database` is written; null for the main one. */
  defaultCatalog: string | null
  /** DuckDB's secrets; null for none. */
  secrets: readonly SecretConfig[] | null
  /** Null for the type's own way. */
  pool: PoolConfig | null
  /** Keys that mean something to SQLMesh and nothing here. */
  ignored: readonly string[]
}

export const SHARED_KEYS = [
  'type',
  'concurrent_tasks',
  'connector_config',
  'catalogs',
  'extensions',
  'extension_directory',
  'secrets',
  'pool',
]

export const IGNORED_KEYS = [
  'register_comments',
  'pre_ping',
  'pretty_sql',
  'schema_differ_overrides',
  'catalog_type_overrides',
  'filesystems',
  'display_name',
]

/** Leases at once in one process, when `concurrent_tasks` is not given. */
const DEFAULT_CONCURRENT_TASKS = 8
const MAX_CONCURRENT_TASKS = 10_000

export interface SharedPlace {
  type: ConnectionType
  key: string
  /** `connector_config` by name. */
  settings: Data
  /** Of attached MotherDuck databases without one of their own. */
  token: Credential
  context: ConnectionContext
}

/** @throws MillraceError CONFIG */
export function parseShared(given: Data, { type, key, settings, token, context }: SharedPlace): SharedConfig {
  const tasks = given['concurrent_tasks']
  const catalogs = parseAttachedDatabases(given['catalogs'], `${key}.catalogs`, {
    context,
    token,
    isMotherDuck: type === 'motherduck',
  })
  const { extension_directory: inSettings, ...withoutFolder } = toSettings(settings, `${key}.connector_config`, context)
  const folder = readFolder(given['extension_directory'], `${key}.extension_directory`, context)
  if (folder !== undefined && inSettings !== undefined && folder !== inSettings) {
    throw new MillraceError(
      'CONFIG',
      `${key}.extension_directory: expected one folder; got '${folder}' and '${inSettings}'`,
    )
  }
  const hasMain = type !== 'duckdb' || (given['database'] ?? '') !== ''
  return {
    root: resolve(context.root),
    environment: new ConnectionEnvironment(context.env),
    concurrentTasks:
      tasks === undefined
        ? DEFAULT_CONCURRENT_TASKS
        : readInteger(tasks, `${key}.concurrent_tasks`, { min: 1, max: MAX_CONCURRENT_TASKS }),
    settings: withoutFolder,
    extensions: parseExtensions(given['extensions'], `${key}.extensions`),
    extensionDirectory: folder ?? inSettings ?? null,
    catalogs,
    defaultCatalog: hasMain ? null : (Object.keys(catalogs ?? {})[0] ?? null),
    secrets: parseSecrets(given['secrets'], `${key}.secrets`, context),
    pool: parsePool(given['pool'], type, `${key}.pool`),
    ignored: IGNORED_KEYS.filter((name) => name in given),
  }
}

function readFolder(value: unknown, key: string, context: ConnectionContext): string | undefined {
  return value === undefined ? undefined : resolvePath(readText(value, key), context)
}
