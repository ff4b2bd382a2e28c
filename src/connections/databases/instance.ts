/** An open DuckDB instance, whatever it is an instance of: its settings, extensions and secrets, and the sessions on it. */
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { join } from 'node:path'
import { MillraceError } from '../../errors.ts'
import { quoteIdentifier, quoteString } from '../../sql/identifiers.ts'
import { createLocalChannel, PROGRESS_ON } from '../channel.ts'
import type { SharedConfig } from '../config/shared-config.ts'
import { ConnectionLost } from '../connection-lost.ts'
import { lockHolderOf } from '../file-locks.ts'
import { classifySqlError } from '../sql-errors.ts'
import type { DatabaseCapabilities, OpenedDatabase, UsedCredentials } from './database.ts'
import { createInstanceCatalogs, type InstanceCatalogs, type OwnCatalog } from './instance-catalogs.ts'
import { createInstanceSecrets } from './instance-secrets.ts'
import { loadExtension } from './load-extension.ts'
import { createTempDirectory } from './temp-directory.ts'

export interface InstanceOptions {
  /** What DuckDB opens: a path, `:memory:`, `md:…`. Without secrets. */
  address: string
  /** The database's name in messages. */
  name: string
  /** The file; null when it has none. */
  path: string | null
  /** Of the catalog that it is opened with. */
  capabilities: DatabaseCapabilities
  /** What stands in that catalog's place: attached when the instance opens, and what leases write to. */
  main?: OwnCatalog['main']
  /** Options of opening, beside those of the configuration. */
  options?: Record<string, string>
  /** Must not appear in messages. */
  secret?: string
}

/** Settings that DuckDB takes only when it opens, or that opening itself should obey; the others are set on the open instance. */
const OPEN_SETTINGS = new Set([
  'access_mode',
  'allow_community_extensions',
  'allow_unsigned_extensions',
  'custom_user_agent',
  'default_block_size',
  'disable_database_invalidation',
  'extension_directory',
  'home_directory',
  'memory_limit',
  'storage_compatibility_version',
  'threads',
  'vacuum_rebuild_indexes',
])

/** @throws MillraceError CONFIG, DATABASE; ConnectionLost; DuckDB's own error when another process holds a file. */
export async function openInstance(config: SharedConfig, place: InstanceOptions): Promise<OpenedDatabase> {
  const instance = await createInstance(config, place)
  try {
    const connection = await instance.connect()
    try {
      for (const extension of config.extensions) await loadExtension(connection, extension)
      const sessionSettings = await setGlobals(connection, config)
      const reader = await connection.runAndReadAll('SELECT current_database()')
      const catalog = String(reader.value(0, 0))
      const catalogs = createInstanceCatalogs(config, {
        target: { path: place.path, catalog, capabilities: place.capabilities, lane: null },
        isMotherDuck: place.secret !== undefined,
        main: place.main ?? null,
        connect: () => instance.connect(),
      })
      await catalogs.attachments.open(connection)
      const tellsProgress = await canTellProgress(connection, config)
      return opened(instance, { config, catalog, sessionSettings, catalogs, tellsProgress })
    } finally {
      connection.disconnectSync()
    }
  } catch (error) {
    // Not left open: the file's lock would stay with an instance that nobody knows.
    instance.closeSync()
    throw error
  }
}

interface Opened {
  config: SharedConfig
  /** What its sessions begin with. */
  catalog: string
  sessionSettings: string[]
  catalogs: InstanceCatalogs
  tellsProgress: boolean
}

function opened(
  instance: DuckDBInstance,
  { config, catalog, sessionSettings, catalogs, tellsProgress }: Opened,
): OpenedDatabase {
  const { attachments, target: main, others, settled } = catalogs
  const secrets =
    config.secrets === null ? null : createInstanceSecrets(config.secrets, { env: config.environment.variables() })
  return {
    ...main,
    catalogs: others,
    connectInstance: () => instance.connect(),
    connect: async (lessee, auth, target = main) => {
      const connection = await instance.connect()
      const statements = [...sessionSettings]
      // The instance carries the folder of the project that opened it; another project brings its own.
      if (lessee.root !== config.root && !('file_search_path' in lessee.settings)) {
        statements.push(`SET SESSION file_search_path = ${quoteString(lessee.root)}`)
      }
      try {
        if (statements.length > 0) await connection.run(statements.join('; '))
        const used = secrets === null ? [] : [await secrets.renew(connection, auth)]
        if (attachments.needsLease) used.push(await attachments.renew(connection, auth))
        // With its schema: a schema of the same name would make the catalog's alone ambiguous.
        if (target.catalog !== catalog) await connection.run(`USE ${quoteIdentifier(target.catalog)}."main"`)
        return { channel: createLocalChannel(connection, { tellsProgress }), credentials: together(used) }
      } catch (error) {
        connection.disconnectSync()
        throw error
      }
    },
    credentials: () => [...(secrets?.snapshot() ?? []), ...attachments.snapshot()],
    settled,
    closeSync: () => instance.closeSync(),
  }
}

function together(used: readonly UsedCredentials[]): UsedCredentials | null {
  if (used.length === 0) return null
  // Each is told, not only the first that has others.
  return { refused: () => used.map((one) => one.refused()).includes(true) }
}

/** `DuckDBInstance.fromCache` is not used: it spins for ever while an unfinished result keeps a closed instance alive. */
async function createInstance(config: SharedConfig, place: InstanceOptions): Promise<DuckDBInstance> {
  const options: Record<string, string> = {
    ...place.options,
    temp_directory: createTempDirectory(config.settings['temp_directory'] ?? join(config.root, '.millrace', 'tmp')),
  }
  if (config.extensionDirectory !== null) options['extension_directory'] = config.extensionDirectory
  for (const [name, value] of Object.entries(config.settings)) if (OPEN_SETTINGS.has(name)) options[name] = value
  try {
    return await DuckDBInstance.create(place.address, options)
  } catch (error) {
    // Whoever waits for the lock reads DuckDB's own text.
    if (lockHolderOf(error) !== null) throw error
    if (error instanceof Error && error.message === 'Failed to set config') throw refusedSettings(config)
    throw notOpened(error, place)
  }
}

function notOpened(error: unknown, { name, secret = '' }: InstanceOptions): unknown {
  const { kind, message, hint } = classifySqlError(error)
  const shown = secret === '' ? message : message.replaceAll(secret, '<secret>')
  const said = new Error(shown)
  if (kind === 'connection') return new ConnectionLost(`${name} cannot be reached: ${shown}`, said)
  return new MillraceError('DATABASE', `${name} cannot be opened: ${shown}`, {
    cause: secret === '' ? error : said,
    ...(hint === null ? {} : { hint }),
  })
}

function refusedSettings(config: SharedConfig): MillraceError {
  const passed = Object.entries(config.settings).filter(([name]) => OPEN_SETTINGS.has(name))
  const shown = passed.map(([name, value]) => `${name} = ${value}`).join(', ')
  return new MillraceError('CONFIG', `connection.connector_config: DuckDB refuses one of ${shown}`, {
    hint: "Sizes are written like '4GB', numbers without a unit.",
  })
}

/** Not where settings are locked, nor where the user has a bar of their own. */
async function canTellProgress(connection: DuckDBConnection, { settings }: SharedConfig): Promise<boolean> {
  if ('enable_progress_bar' in settings || 'progress_bar_time' in settings) return false
  return connection.run(PROGRESS_ON).then(
    () => true,
    () => false,
  )
}

/** @returns statements for each session: settings that DuckDB does not keep for the whole instance. */
async function setGlobals(connection: DuckDBConnection, config: SharedConfig): Promise<string[]> {
  const sessionSettings: string[] = []
  const settings: Record<string, string> = { timezone: 'UTC', file_search_path: config.root, ...config.settings }
  for (const [name, value] of Object.entries(settings)) {
    if (OPEN_SETTINGS.has(name) || name === 'temp_directory') continue
    const assignment = `${quoteIdentifier(name)} = ${quoteString(value)}`
    try {
      await connection.run(`SET GLOBAL ${assignment}`)
    } catch (error) {
      const { message, hint } = classifySqlError(error)
      if (!message.includes('cannot be set globally')) {
        throw new MillraceError(
          'CONFIG',
          `connection.connector_config.${name}: ${message}`,
          hint === null ? {} : { hint },
        )
      }
      sessionSettings.push(`SET SESSION ${assignment}`)
    }
  }
  return sessionSettings
}
