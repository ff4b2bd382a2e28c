/** An open DuckDB instance, whatever it is an instance of: its settings, extensions and secrets, and the sessions on it. */
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { join } from 'node:path'
import { MillraceError } from '../../errors.ts'
import { quoteIdentifier, quoteString } from '../../sql/identifiers.ts'
import { createLocalChannel } from '../channel.ts'
import type { SharedConfig } from '../config/shared-config.ts'
import { ConnectionLost } from '../connection-lost.ts'
import { lockHolderOf } from '../file-locks.ts'
import { classifySqlError } from '../sql-errors.ts'
import type { DatabaseCapabilities, OpenedDatabase } from './database.ts'
import { createInstanceSecrets, type InstanceSecrets } from './instance-secrets.ts'
import { createTempDirectory } from './temp-directory.ts'

export interface InstanceOptions {
  /** What DuckDB opens: a path, `:memory:`, `md:…`. Without secrets. */
  address: string
  /** The database's name in messages. */
  name: string
  /** The file; null when it has none. */
  path: string | null
  capabilities: DatabaseCapabilities
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

/** @throws MillraceError CONFIG, DATABASE, NOT_YET; DuckDB's own error when another process holds the file. */
export async function openInstance(config: SharedConfig, place: InstanceOptions): Promise<OpenedDatabase> {
  for (const key of ['catalogs', 'pool'] as const) {
    if (config[key] === null) continue
    throw new MillraceError('NOT_YET', `connection.${key} cannot be used by this version`, {
      hint: `Leave ${key} out.`,
    })
  }
  const instance = await createInstance(config, place)
  try {
    const connection = await instance.connect()
    try {
      await loadExtensions(connection, config)
      const sessionSettings = await setGlobals(connection, config)
      const reader = await connection.runAndReadAll('SELECT current_database()')
      const secrets = createInstanceSecrets(config.secrets ?? [], { env: config.environment.variables() })
      return opened(instance, { config, place, sessionSettings, secrets, catalog: String(reader.value(0, 0)) })
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
  place: InstanceOptions
  sessionSettings: string[]
  secrets: InstanceSecrets
  catalog: string
}

function opened(
  instance: DuckDBInstance,
  { config, place, sessionSettings, secrets, catalog }: Opened,
): OpenedDatabase {
  return {
    path: place.path,
    catalog,
    capabilities: place.capabilities,
    lane: null,
    connectInstance: () => instance.connect(),
    connect: async (lessee, auth) => {
      const connection = await instance.connect()
      const statements = [...sessionSettings]
      // The instance carries the folder of the project that opened it; another project brings its own.
      if (lessee.root !== config.root && !('file_search_path' in lessee.settings)) {
        statements.push(`SET SESSION file_search_path = ${quoteString(lessee.root)}`)
      }
      try {
        if (statements.length > 0) await connection.run(statements.join('; '))
        const credentials = config.secrets === null ? null : await secrets.renew(connection, auth)
        return { channel: createLocalChannel(connection), credentials }
      } catch (error) {
        connection.disconnectSync()
        throw error
      }
    },
    credentials: () => secrets.snapshot(),
    closeSync: () => instance.closeSync(),
  }
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

async function loadExtensions(connection: DuckDBConnection, config: SharedConfig): Promise<void> {
  for (const { name, repository } of config.extensions) {
    try {
      await connection.run(`LOAD ${quoteIdentifier(name)}`)
    } catch {
      const from = repository === null ? '' : ` FROM ${quoteString(repository)}`
      try {
        await connection.run(`INSTALL ${quoteIdentifier(name)}${from}; LOAD ${quoteIdentifier(name)}`)
      } catch (error) {
        const { message } = classifySqlError(error)
        throw new MillraceError('DATABASE', `the extension '${name}' cannot be loaded: ${message}`, {
          hint: 'Put it into extension_directory, or let this machine reach the extension repository.',
          cause: error,
        })
      }
    }
  }
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
