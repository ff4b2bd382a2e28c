/** A gateway's `connection`, checked and with its paths resolved. */
import { MillraceError } from '../errors.ts'
import type { ConnectionConfig } from './config/connection-config.ts'
import { CONNECTION_TYPES, type ConnectionType } from './config/connection-type.ts'
import { readCredential } from './config/credential-reference.ts'
import { assertDistinctDatabases } from './config/database-identity.ts'
import { DUCKDB_KEYS, parseDuckDBPath } from './config/duckdb-config.ts'
import { DUCKLAKE_KEYS, isDuckLake, parseDuckLake } from './config/ducklake-config.ts'
import { defaultToken, isMotherDuck, MOTHERDUCK_KEYS, parseMotherDuck } from './config/motherduck-config.ts'
import { isQuack, parseQuack, QUACK_KEYS } from './config/quack-config.ts'
import { assertKnownKeys, readChoice, readText, type Data } from './config/read-value.ts'
import type { ConnectionContext } from './config/resolve-path.ts'
import { readSettings } from './config/settings.ts'
import { IGNORED_KEYS, parseShared, SHARED_KEYS } from './config/shared-config.ts'
import type { Credential } from './credentials/credential.ts'

export type {
  ConnectionConfig,
  DuckDBConfig,
  DuckLakeConfig,
  MotherDuckConfig,
  QuackConfig,
  RemoteConfig,
} from './config/connection-config.ts'
export { CONNECTION_TYPES, type ConnectionType } from './config/connection-type.ts'
export type { ConnectionContext } from './config/resolve-path.ts'
export type { ExtensionConfig } from './config/extensions.ts'

/**
 * @param raw as in config.yaml, environment variables already replaced.
 * @throws MillraceError CONFIG for unknown keys (the known ones are listed) and wrong values.
 */
export function parseConnection(raw: Record<string, unknown>, context: ConnectionContext): ConnectionConfig {
  const config = parseTyped(raw, context)
  assertDistinctDatabases(config)
  return config
}

function parseTyped(raw: Record<string, unknown>, context: ConnectionContext): ConnectionConfig {
  const { type, given } = withType(raw)
  assertKnownKeys(given, [...SHARED_KEYS, ...OWN_KEYS[type], ...IGNORED_KEYS], {
    key: KEY,
    of: `a connection of type ${type}`,
  })
  const { inSettings, settings } = splitSettings(
    type,
    readSettings(given['connector_config'], `${KEY}.connector_config`),
  )
  const own = pick(given, OWN_KEYS[type])
  const share = (token: Credential) => parseShared(given, { type, key: KEY, settings, token, context })
  switch (type) {
    case 'duckdb': {
      const shared = share(attachedToken(own['token'], inSettings, context))
      return { type, ...shared, ...parseDuckDBPath(own['database'], `${KEY}.database`, context) }
    }
    case 'motherduck': {
      const location = parseMotherDuck({ ...own, ...inSettings }, KEY, context)
      return { type, ...share(location.token), ...location }
    }
    case 'ducklake': {
      const name = own['database']
      const database = name === undefined ? DEFAULT_LAKE : readText(name, `${KEY}.database`).toLowerCase()
      const shared = share(attachedToken(undefined, inSettings, context))
      if (Object.hasOwn(shared.catalogs ?? {}, database)) {
        throw new MillraceError(
          'CONFIG',
          `${KEY}.catalogs.${database}: expected another name than that of the lake itself`,
        )
      }
      return { type, ...shared, ...parseDuckLake(own, KEY, context), database }
    }
    case 'quack': {
      const shared = share(attachedToken(undefined, inSettings, context))
      return { type, ...shared, ...parseQuack(own, KEY, context) }
    }
  }
}

/** What the connection is called in messages. */
const KEY = 'connection'
const DEFAULT_LAKE = 'lake'

const OWN_KEYS: Readonly<Record<ConnectionType, readonly string[]>> = {
  duckdb: DUCKDB_KEYS,
  motherduck: MOTHERDUCK_KEYS,
  ducklake: [...DUCKLAKE_KEYS, 'database'],
  quack: QUACK_KEYS,
}

/** `type: duckdb, database: md:…` is MotherDuck; so it is with the other types that text can name. */
function withType(raw: Record<string, unknown>): { type: ConnectionType; given: Data } {
  const given = Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null && value !== undefined))
  const type = readChoice(given['type'] ?? 'duckdb', `${KEY}.type`, CONNECTION_TYPES)
  const { database, ...others } = given
  if (type !== 'duckdb' || typeof database !== 'string') return { type, given }
  if (isMotherDuck(database)) return { type: 'motherduck', given }
  if (isDuckLake(database)) return { type: 'ducklake', given: { catalog: database, ...others } }
  return isQuack(database) ? { type: 'quack', given: { uri: database, ...others } } : { type, given }
}

/** MotherDuck's own among DuckDB's settings: its parameters are keys, and a token must not stay a setting. */
function splitSettings(type: ConnectionType, all: Data): { inSettings: Data; settings: Data } {
  const isOwn = (name: string) =>
    name === 'motherduck_token' ||
    (type === 'motherduck' && (name.startsWith('motherduck_') || MOTHERDUCK_KEYS.includes(name)))
  const entries = Object.entries(all)
  return {
    // Prefixed, so that a key of the same name is compared, not replaced.
    inSettings: Object.fromEntries(
      entries
        .filter(([name]) => isOwn(name))
        .map(([name, value]) => [name.startsWith('motherduck_') ? name : `motherduck_${name}`, value]),
    ),
    settings: Object.fromEntries(entries.filter(([name]) => !isOwn(name))),
  }
}

/** Of MotherDuck databases that are attached to one of another type. */
function attachedToken(
  written: unknown,
  { motherduck_token: inSettings }: Data,
  context: ConnectionContext,
): Credential {
  if (written !== undefined && inSettings !== undefined) {
    throw new MillraceError('CONFIG', `${KEY}.token: expected one token; there is one in connector_config, too`)
  }
  const token = written ?? inSettings
  return token === undefined ? defaultToken(context, KEY) : readCredential(token, `${KEY}.token`, context)
}

function pick(given: Data, names: readonly string[]): Data {
  return Object.fromEntries(names.flatMap((name) => (name in given ? [[name, given[name]]] : [])))
}
