/** A MotherDuck database: `md:db?b=2&a=1`, or its parameters as keys. */
import { MillraceError } from '../../errors.ts'
import type { Credential } from '../credentials/credential.ts'
import { readCredential, toReference } from './credential-reference.ts'
import { inSeconds } from './pool-config.ts'
import { readBoolean, readChoice, readDurationMs, readText, suggestion, wrongValue, type Data } from './read-value.ts'
import type { ConnectionContext } from './resolve-path.ts'

export interface MotherDuckLocation {
  /** Null for the account's own default database. */
  database: string | null
  /** Default: the environment variable MOTHERDUCK_TOKEN, or motherduck_token if only that is set. */
  token: Credential
  /** Default `single` for a named database, so that others are neither seen nor remembered; else `workspace`. */
  attachMode: 'single' | 'workspace'
  /** Keeps MotherDuck from local files. Default false. */
  saasMode: boolean
  /** Routes to a duckling of its own when reads are scaled. Also written `session_hint`. */
  sessionName: string | null
  /** Default `automatic`; `read_only` for tokens of read scaling. */
  accessMode: 'automatic' | 'read_only' | 'read_write'
  /** How long MotherDuck keeps the instance after the last connection; null for its own default. */
  inactivityTtlMs: number | null
  userAgent: string | null
}

export const MOTHERDUCK_KEYS = [
  'database',
  'token',
  'attach_mode',
  'saas_mode',
  'session_name',
  'session_hint',
  'access_mode',
  'dbinstance_inactivity_ttl',
  'custom_user_agent',
]

/** Whether text means a MotherDuck database. */
export function isMotherDuck(text: string): boolean {
  return /^(?:md|motherduck):/i.test(text.trim())
}

/** The token when none is written. */
export function defaultToken(context: ConnectionContext, key: string): Credential {
  const { env } = context
  const name =
    env['MOTHERDUCK_TOKEN'] === undefined && env['motherduck_token'] !== undefined
      ? 'motherduck_token'
      : 'MOTHERDUCK_TOKEN'
  return readCredential({ env: name }, `${key}.token`, context)
}

/**
 * @param given keys of the connection; those of `connector_config` that are MotherDuck's may be among them, as
 * `motherduck_…`. What stands in the text is the same as a key. @throws MillraceError CONFIG
 */
export function parseMotherDuck(given: Data, key: string, context: ConnectionContext): MotherDuckLocation {
  const text = given['database'] === undefined ? '' : readText(given['database'], `${key}.database`).trim()
  const [name, query] = split(text.replace(/^(?:md|motherduck):/i, ''))
  if (name.startsWith('/')) throw wrongValue(`${key}.database`, "a name such as 'md:analytics'", text)
  const database = name === '' ? null : decode(name)
  const written = new Written(key)
  for (const pair of query.split('&').filter(Boolean)) {
    const at = pair.indexOf('=')
    if (at === -1) {
      // Not shown: it may be the token.
      const message = `${key}.database: expected parameters such as '?attach_mode=single'; one of them has no '='`
      throw new MillraceError('CONFIG', message)
    }
    written.add(decode(pair.slice(0, at)), decode(pair.slice(at + 1)))
  }
  for (const [parameter, value] of Object.entries(given)) if (parameter !== 'database') written.add(parameter, value)
  const place = (parameter: string) => `${key}.${parameter}`
  const read = <T>(parameter: string, reader: (value: unknown, key: string) => T, fallback: T): T =>
    written.read(parameter, (value) => reader(value, place(parameter)), fallback)
  return {
    database,
    token:
      written.token === undefined ? defaultToken(context, key) : readCredential(written.token, place('token'), context),
    attachMode: read<MotherDuckLocation['attachMode']>(
      'attach_mode',
      (value, at) => readChoice(value, at, ['single', 'workspace']),
      database === null ? 'workspace' : 'single',
    ),
    saasMode: read('saas_mode', readBoolean, false),
    sessionName: read<string | null>('session_name', readText, null),
    accessMode: read<MotherDuckLocation['accessMode']>(
      'access_mode',
      (value, at) => readChoice(value, at, ['automatic', 'read_only', 'read_write']),
      'automatic',
    ),
    inactivityTtlMs: read<number | null>('dbinstance_inactivity_ttl', readDurationMs, null),
    userAgent: read<string | null>('custom_user_agent', readText, null),
  }
}

/** Which database, for whom: names of databases are one in any case, but each account has its own. */
export function motherDuckIdentity({ database, token }: MotherDuckLocation): string {
  return `motherduck ${database?.toLowerCase() ?? ''} as ${toReference(token)?.identity ?? ''}`
}

export function canonicalMotherDuck(location: MotherDuckLocation): Record<string, unknown> {
  return {
    database: location.database?.toLowerCase(),
    token: toReference(location.token),
    attach_mode: location.attachMode,
    saas_mode: location.saasMode,
    session_name: location.sessionName,
    access_mode: location.accessMode,
    dbinstance_inactivity_ttl: inSeconds(location.inactivityTtlMs),
    custom_user_agent: location.userAgent,
  }
}

/** What was written under each parameter, in the text and as keys. */
class Written {
  readonly #key: string
  readonly #values = new Map<string, unknown[]>()

  constructor(key: string) {
    this.#key = key
  }

  add(written: string, value: unknown): void {
    const lower = written
      .trim()
      .toLowerCase()
      .replace(/^motherduck_/, '')
    const name = lower === 'session_hint' ? 'session_name' : lower
    if (!MOTHERDUCK_KEYS.includes(name) || name === 'database') {
      const known = MOTHERDUCK_KEYS.filter((one) => one !== 'database')
      throw new MillraceError(
        'CONFIG',
        `${this.#key}: MotherDuck has no parameter '${written}'; the known ones are ${known.join(', ')}`,
        suggestion(lower, known),
      )
    }
    this.#values.set(name, [...(this.#values.get(name) ?? []), value])
  }

  /** Tokens are never compared: even a message that two differ would tell. */
  get token(): unknown {
    const [token, ...others] = this.#values.get('token') ?? []
    if (others.length === 0) return token
    throw new MillraceError('CONFIG', `${this.#key}.token: expected one token; it is written more than once`)
  }

  read<T>(name: string, reader: (value: unknown) => T, fallback: T): T {
    const [first = fallback, ...others] = new Set((this.#values.get(name) ?? []).map(reader))
    if (others.length === 0) return first
    const both = [first, ...others].map((value) => `'${String(value)}'`).join(' and ')
    throw new MillraceError('CONFIG', `${this.#key}.${name}: expected one value; got ${both}`)
  }
}

function split(text: string): [string, string] {
  const at = text.indexOf('?')
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
