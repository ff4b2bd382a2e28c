/** `catalogs`: databases attached beside the main one, each under a name. */
import { MillraceError } from '../../errors.ts'
import { canonicalPath } from '../canonical-path.ts'
import { credentialIdentity } from '../credentials/credential-identity.ts'
import type { Credential } from '../credentials/credential.ts'
import { toReference } from './credential-reference.ts'
import {
  canonicalDuckLake,
  DUCKLAKE_KEYS,
  isDuckLake,
  parseDuckLake,
  type DuckLakeLocation,
} from './ducklake-config.ts'
import { isMotherDuck, parseMotherDuck } from './motherduck-config.ts'
import { canonicalPostgres, isPostgres, parsePostgres, type PostgresLocation } from './postgres-location.ts'
import { canonicalQuack, isQuack, parseQuack, QUACK_KEYS, type QuackLocation } from './quack-config.ts'
import { assertKnownKeys, readBoolean, readChoice, readMapping, readText, type Data } from './read-value.ts'
import { canonicalLocation, resolveFile, resolvePath, type ConnectionContext } from './resolve-path.ts'

export type AttachedLocation =
  | { type: 'duckdb'; /** Absolute, or a URL; null for a database in memory. */ path: string | null }
  | { type: 'sqlite'; /** Absolute. */ path: string }
  | { type: 'motherduck'; database: string | null; /** The same for all of a connection. */ token: Credential }
  | ({ type: 'postgres'; /** The one schema to attach; null for all. */ schema: string | null } & PostgresLocation)
  | ({ type: 'ducklake' } & DuckLakeLocation)
  | ({ type: 'quack' } & QuackLocation)

export type AttachedDatabase = AttachedLocation & { /** Default false. */ readOnly: boolean }

export interface AttachPlace {
  context: ConnectionContext
  /** What attached MotherDuck databases use that have none of their own. */
  token: Credential
  /** The main database is one of MotherDuck, too. */
  isMotherDuck: boolean
}

/** By name in lower case. */
export type AttachedDatabases = Readonly<Record<string, AttachedDatabase>>

export const ATTACHED_TYPES = ['duckdb', 'motherduck', 'ducklake', 'quack', 'postgres', 'sqlite'] as const
export type AttachedType = (typeof ATTACHED_TYPES)[number]

/**
 * @param raw name → a path as text (`a.db`, `md:x`, `ducklake:…`, `quack:…`, `postgres:…`, `sqlite:…`), or a mapping with
 * `type`, `path` and the type's own keys. @returns null when there is none. @throws MillraceError CONFIG
 */
export function parseAttachedDatabases(raw: unknown, key: string, place: AttachPlace): AttachedDatabases | null {
  if (raw === undefined || raw === null) return null
  const attached = new Map<string, AttachedDatabase>()
  for (const [written, value] of Object.entries(readMapping(raw, key))) {
    const name = written
      .trim()
      .replace(/^"(.*)"$/s, '$1')
      .toLowerCase()
    if (name === '') throw new MillraceError('CONFIG', `${key}: expected a name for every catalog; got '${written}'`)
    if (attached.has(name)) {
      throw new MillraceError('CONFIG', `${key}: expected different names; '${written}' is '${name}' again`)
    }
    attached.set(name, parseAttached(value, `${key}.${name}`, place))
  }
  assertOneAccount([...attached.values()], key, place)
  return attached.size === 0 ? null : Object.fromEntries(attached)
}

export function canonicalAttached(database: AttachedDatabase): Record<string, unknown> {
  return { type: database.type, ...canonicalPlace(database), read_only: database.readOnly }
}

/** Where a type's place may be written besides `path`. */
const PLACE: Readonly<Record<AttachedType, string>> = {
  duckdb: 'database',
  motherduck: 'database',
  ducklake: 'catalog',
  quack: 'uri',
  postgres: 'path',
  sqlite: 'database',
}

const OWN_KEYS: Readonly<Record<AttachedType, readonly string[]>> = {
  duckdb: ['database'],
  motherduck: ['database', 'token'],
  ducklake: DUCKLAKE_KEYS,
  quack: QUACK_KEYS,
  postgres: ['password', 'schema'],
  sqlite: ['database'],
}

function parseAttached(raw: unknown, key: string, { context, token }: AttachPlace): AttachedDatabase {
  const isText = typeof raw === 'string' && !raw.trimStart().startsWith('{')
  const { read_only: readOnly, ...given }: Data = isText ? { path: raw } : readMapping(raw, key)
  const type = typeOf(given, key)
  assertKnownKeys(given, ['type', 'path', 'read_only', ...OWN_KEYS[type]], { key, of: `a catalog of type ${type}` })
  const { type: _type, path, ...own } = given
  const place = PLACE[type]
  if (path !== undefined && place !== 'path' && place in own) {
    throw new MillraceError('CONFIG', `${key}: expected either path or ${place}; got both`)
  }
  const location = readText(path ?? own[place] ?? null, `${key}.${place in own ? place : 'path'}`).trim()
  return {
    ...parseLocation(type, location, { own, key, context, token }),
    readOnly: readOnly === undefined ? false : readBoolean(readOnly, `${key}.read_only`),
  }
}

interface LocationPlace {
  own: Data
  key: string
  context: ConnectionContext
  token: Credential
}

function parseLocation(type: AttachedType, location: string, place: LocationPlace): AttachedLocation {
  const { own, key, context } = place
  switch (type) {
    case 'duckdb': {
      const path = location.replace(/^duckdb:/i, '')
      return { type, path: isMemory(path) ? null : resolveFile(path, context) }
    }
    case 'sqlite':
      return { type, path: resolvePath(location.replace(/^sqlite:/i, ''), context) }
    case 'motherduck': {
      // Its parameters are those of the instance, which has one account.
      if (location.includes('?')) {
        const message = `${key}: expected 'md:NAME' without parameters; the connection's own apply to attached databases`
        throw new MillraceError('CONFIG', message, { hint: 'Write the token as token: …' })
      }
      const { database, token } = parseMotherDuck({ ...own, database: location }, key, context)
      return { type, database, token: own['token'] === undefined ? place.token : token }
    }
    case 'ducklake':
      return { type, ...parseDuckLake({ ...own, catalog: location }, key, context) }
    case 'quack':
      return { type, ...parseQuack({ ...own, uri: location }, key, context) }
    case 'postgres': {
      const { password, schema } = own
      return {
        type,
        schema: schema === undefined ? null : readText(schema, `${key}.schema`),
        ...parsePostgres(location, { key: `${key}.path`, password, context }),
      }
    }
  }
}

/** The token is the instance's: it cannot be given to one attached database. */
function assertOneAccount(attached: readonly AttachedDatabase[], key: string, place: AttachPlace): void {
  const tokens = attached.flatMap((database) => (database.type === 'motherduck' ? [database.token] : []))
  const identities = new Set((place.isMotherDuck ? [place.token, ...tokens] : tokens).map(credentialIdentity))
  if (identities.size <= 1) return
  const message = `${key}: expected one token for all MotherDuck databases of a connection; got ${[...identities].join(' and ')}`
  throw new MillraceError('CONFIG', message, { hint: 'Give each account a gateway of its own.' })
}

function typeOf(given: Data, key: string): AttachedType {
  const written = given['type'] === undefined ? 'duckdb' : readChoice(given['type'], `${key}.type`, ATTACHED_TYPES)
  // `type: duckdb, path: md:…` is MotherDuck, as SQLMesh has it.
  return written === 'duckdb' ? typeOfPlace(given) : written
}

function typeOfPlace(given: Data): AttachedType {
  const text = [given['path'], given['database'], given['catalog'], given['uri']].find((one) => typeof one === 'string')
  const written = typeof text === 'string' ? text.trim() : ''
  if ('catalog' in given || isDuckLake(written)) return 'ducklake'
  if ('uri' in given || isQuack(written)) return 'quack'
  if (isMotherDuck(written)) return 'motherduck'
  if (isPostgres(written)) return 'postgres'
  return /^sqlite:/i.test(written) ? 'sqlite' : 'duckdb'
}

function canonicalPlace(database: AttachedDatabase): Record<string, unknown> {
  switch (database.type) {
    case 'duckdb':
      return { path: database.path === null ? ':memory:' : canonicalLocation(database.path) }
    case 'sqlite':
      return { path: canonicalPath(database.path) }
    case 'motherduck':
      return { database: database.database?.toLowerCase(), token: toReference(database.token) }
    case 'ducklake':
      return canonicalDuckLake(database)
    case 'quack':
      return canonicalQuack(database)
    case 'postgres':
      return { schema: database.schema, ...canonicalPostgres(database) }
  }
}

function isMemory(path: string): boolean {
  return path.startsWith(':memory:')
}
