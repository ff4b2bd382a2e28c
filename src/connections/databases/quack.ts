/**
 * A Quack server. An instance of this process only carries the statements there: one for all leases, with a session on the server
 * for each of them.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { MillraceError } from '../../errors.ts'
import { quoteIdentifier, quoteString } from '../../sql/identifiers.ts'
import type { ConnectionConfig, QuackConfig } from '../config.ts'
import type { ExtensionConfig } from '../config/extensions.ts'
import { quackUri } from '../config/quack-config.ts'
import type { AuthContext } from '../credentials/auth-context.ts'
import type { TokenSource } from '../credentials/token-source.ts'
import { isExpired, type Token } from '../credentials/token.ts'
import { createQuackChannel } from './quack/quack-channel.ts'
import { toServerError } from './quack/quack-errors.ts'
import { classifySqlError } from '../sql-errors.ts'
import type { Database, DatabaseCapabilities, OpenedDatabase } from './database.ts'
import { openInstance } from './instance.ts'
import { createKeptSources, type KeptSources } from './kept-sources.ts'
import { prepareQuackSession } from './quack/quack-session.ts'

export const quack: Database = createQuack()

/**
 * Of `connector_config`, what is about reaching the server is set here (`http_proxy`, `ca_cert_file` …, and
 * where extensions come from); everything else in each session on the server, which refuses what belongs to all of its sessions.
 * The token is asked for at every lease, in that lease's context: the server looks at it when a session begins, and never again.
 */
function createQuack(): Database {
  const sources = createKeptSources()
  return {
    credential: () => null,
    describe: (config) => describe(own(config)),
    open: async (config, _, tenant = '') => openQuack(own(config), sources, tenant),
  }
}

const CAPABILITIES: DatabaseCapabilities = {
  persistent: true,
  checkpoints: false,
  interrupts: false,
  transactions: 'script',
  uniqueKeys: true,
  writers: 'many',
  processes: 'many',
  localFiles: false,
  viewColumnComments: true,
}

/** What the server's own extension needs. */
const EXTENSIONS = ['httpfs', 'quack']

/** Settings of the way to the server. Default: DuckDB's. */
const OWN_SETTINGS =
  /^(https?_.*|httpfs_.*|ca_cert_file|enable_(curl_)?server_cert_verification|custom_user_agent|home_directory|temp_directory|allow_(community|unsigned)_extensions|allow_extensions_metadata_mismatch|(autoinstall|autoload)_known_extensions|(autoinstall|custom)_extension_repository)$/

async function openQuack(config: QuackConfig, sources: KeptSources, tenant: string): Promise<OpenedDatabase> {
  const { token: credential, catalogs, secrets } = config
  if (catalogs !== null)
    throw onServer('catalogs', 'Attach them on the server; models name them as they are named there.')
  if (secrets !== null) throw onServer('secrets', 'Create them on the server: what reads files runs there.')
  if (credential === null) {
    throw new MillraceError(
      'CONFIG',
      'connection.token: expected a credential, since a Quack server lets nobody in without one; got nothing',
      { hint: 'Write the token that the server was started with as token: {env: NAME}.' },
    )
  }
  const source = sources.of(config, credential, tenant)
  const name = describe(config)
  const instance = await openInstance(
    { ...config, settings: pick(config.settings, true), extensions: ownExtensions(config), secrets: null },
    { address: ':memory:', name, path: null, capabilities: CAPABILITIES },
  )
  let catalog = config.database ?? ''
  let sessions = 0
  return {
    ...instance,
    // Known when the first session has begun, as every lease has.
    get catalog() {
      return catalog
    },
    credentials: () => [source.snapshot()],
    connect: async (lessee, auth) => {
      sessions += 1
      // Before anything is awaited: others connect meanwhile.
      const alias = `session_${sessions}`
      const connection = await instance.connectInstance()
      const session = { connection, server: name, alias }
      try {
        await authenticate({ source, auth, name }, (token) => attach(config, session, token))
      } catch (error) {
        connection.disconnectSync()
        throw error
      }
      const channel = createQuackChannel(session)
      try {
        catalog = await prepareQuackSession(session, {
          settings: { file_search_path: lessee.root, ...pick(lessee.settings, false) },
          extensions: lessee.extensions.filter((one) => !EXTENSIONS.includes(one.name)),
          database: config.database,
        })
        // No statement is refused for the token: it got the session in.
        return { channel, credentials: null }
      } catch (error) {
        await channel.close()
        throw error
      }
    },
  }
}

interface Authentication {
  source: TokenSource
  auth: AuthContext
  name: string
}

/** @throws MillraceError CREDENTIALS when even a new token is refused; what the source throws; what `enter` does. */
async function authenticate(
  { source, auth, name }: Authentication,
  enter: (token: Token) => Promise<void>,
): Promise<void> {
  const startedMs = Date.now()
  for (;;) {
    const token = await source.get(auth)
    try {
      return await enter(token)
    } catch (error) {
      if (classifySqlError(error).kind !== 'auth') throw error
      // One that expired on its way there says nothing of the next.
      if (token.obtainedAtMs >= startedMs && !isExpired(token, Date.now())) throw refused(name, source)
      source.refused(token)
    }
  }
}

async function attach(
  config: QuackConfig,
  { connection, alias, server }: { connection: DuckDBConnection; alias: string; server: string },
  { value }: Token,
): Promise<void> {
  const name = quoteIdentifier(alias)
  // DuckDB finds the secret of a server by its address. What follows # is sent nowhere: it makes one address for each session.
  const address = `${quackUri(config)}#${alias}.`
  try {
    // As an option of ATTACH it would be listed with the database.
    await connection.runAndReadAll(
      `CREATE TEMPORARY SECRET ${name} (TYPE quack, TOKEN $1, SCOPE ${quoteString(address)})`,
      [value],
    )
    try {
      await connection.run(`ATTACH ${quoteString(address)} AS ${name} (TYPE quack, DISABLE_SSL ${config.disableSsl})`)
    } finally {
      await connection.run(`DROP TEMPORARY SECRET ${name}`)
    }
  } catch (error) {
    throw withoutToken(toServerError(error, server, { sql: '', offset: 0 }), value)
  }
}

/** Nothing is expected to repeat it. */
function withoutToken(error: unknown, token: string): unknown {
  if (!(error instanceof Error)) return error
  const { message, cause } = error
  const said = cause instanceof Error ? `${message}\n${cause.message}` : message
  return token !== '' && said.includes(token) ? new Error(message.replaceAll(token, '<token>')) : error
}

function refused(name: string, source: TokenSource): MillraceError {
  return new MillraceError('CREDENTIALS', `${name} refuses the token of ${source.identity}`, {
    hint: 'Check that the server knows this token, and that it has not expired there.',
  })
}

function onServer(key: string, hint: string): MillraceError {
  return new MillraceError('CONFIG', `connection.${key}: expected nothing beside a Quack server, where all SQL runs`, {
    hint,
  })
}

function ownExtensions({ extensions }: QuackConfig): ExtensionConfig[] {
  return EXTENSIONS.map((name) => extensions.find((one) => one.name === name) ?? { name, repository: null })
}

function pick(settings: Readonly<Record<string, string>>, isOwn: boolean): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => OWN_SETTINGS.test(name) === isOwn))
}

function describe({ host, port, database }: QuackConfig): string {
  const server = `Quack server ${host}:${port}`
  return database === null ? server : `database '${database}' of ${server}`
}

function own(config: ConnectionConfig): QuackConfig {
  if (config.type !== 'quack') throw new TypeError(`expected a connection of type quack; got ${config.type}`)
  return config
}
