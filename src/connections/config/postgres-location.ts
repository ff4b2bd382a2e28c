/** A PostgreSQL database: written as libpq's `key=value` pairs or as a URL. */
import { MillraceError } from '../../errors.ts'
import type { Credential } from '../credentials/credential.ts'
import { readCredential, toReference } from './credential-reference.ts'
import { suggestion } from './read-value.ts'
import type { ConnectionContext } from './resolve-path.ts'

export interface PostgresLocation {
  /** libpq's parameters by name, the password left out. */
  parameters: Readonly<Record<string, string>>
  password: Credential | null
}

/** Whether text means a PostgreSQL database. */
export function isPostgres(text: string): boolean {
  return /^postgres(?:ql)?:/i.test(text)
}

/**
 * @param text with `postgres:` in front or without: `dbname=lake host=db`, `postgresql://user@db/lake?sslmode=require`.
 * A password in it becomes a literal credential. @throws MillraceError CONFIG
 */
export function parsePostgres(
  text: string,
  { key, password, context }: { key: string; password: unknown; context: ConnectionContext },
): PostgresLocation {
  const rest = text.trim().replace(/^postgres(?:ql)?:(?!\/\/)/i, '')
  const { password: inText, ...parameters } = /^postgres(?:ql)?:\/\//i.test(rest)
    ? fromUrl(rest, key)
    : fromPairs(rest, key)
  if (inText !== undefined && password !== undefined) {
    throw new MillraceError('CONFIG', `${key}: expected one password; there is one in the text and one as a key`)
  }
  const given = inText ?? password
  return { parameters, password: given === undefined ? null : readCredential(given, `${key} (password)`, context) }
}

/** Which database it is, whoever asks: host, port, database. */
export function postgresIdentity({ parameters }: PostgresLocation): string {
  const { host, hostaddr, port = DEFAULT_PORT, dbname, user, service } = parameters
  const server = service === undefined ? (host ?? hostaddr ?? '').toLowerCase() : `service ${service}`
  return `postgres ${server}:${port}/${dbname ?? user ?? ''}`
}

export function canonicalPostgres({ parameters, password }: PostgresLocation): Record<string, unknown> {
  const { host, port = DEFAULT_PORT, ...rest } = parameters
  return { ...rest, port, host: host?.toLowerCase(), password: toReference(password) }
}

const DEFAULT_PORT = '5432'

const PARAMETERS = [
  'application_name',
  'channel_binding',
  'client_encoding',
  'connect_timeout',
  'dbname',
  'gssencmode',
  'host',
  'hostaddr',
  'keepalives',
  'keepalives_count',
  'keepalives_idle',
  'keepalives_interval',
  'krbsrvname',
  'load_balance_hosts',
  'options',
  'passfile',
  'password',
  'port',
  'require_auth',
  'service',
  'sslcert',
  'sslcrl',
  'sslkey',
  'sslmode',
  'sslnegotiation',
  'sslrootcert',
  'target_session_attrs',
  'tcp_user_timeout',
  'user',
]

const PAIR = /\s*([A-Za-z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?:\s+|$)/y

function fromPairs(text: string, key: string): Record<string, string> {
  const parameters: Record<string, string> = {}
  PAIR.lastIndex = 0
  while (PAIR.lastIndex < text.length) {
    const at = PAIR.lastIndex
    const [, name, quoted, bare] = PAIR.exec(text) ?? []
    if (name === undefined) {
      // The text is not shown: what cannot be read may be a password.
      const message = `${key}: expected PostgreSQL's parameters such as 'dbname=lake host=localhost'; character ${at + 1} cannot be read`
      throw new MillraceError('CONFIG', message)
    }
    setParameter(parameters, { name, value: (quoted ?? bare ?? '').replaceAll(/\\(.)/g, '$1'), key })
  }
  return parameters
}

function fromUrl(text: string, key: string): Record<string, string> {
  const parameters: Record<string, string> = {}
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null) {
    throw new MillraceError('CONFIG', `${key}: expected a URL such as 'postgresql://user@host:5432/database'`)
  }
  const parts = {
    user: url.username,
    password: url.password,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port,
    dbname: url.pathname.slice(1),
  }
  for (const [name, value] of Object.entries(parts)) {
    if (value !== '') setParameter(parameters, { name, value: decode(value), key })
  }
  for (const [name, value] of url.searchParams) setParameter(parameters, { name, value, key })
  return parameters
}

function setParameter(
  parameters: Record<string, string>,
  { name, value, key }: { name: string; value: string; key: string },
): void {
  const lower = name.toLowerCase()
  if (!PARAMETERS.includes(lower)) {
    throw new MillraceError(
      'CONFIG',
      `${key}: PostgreSQL has no connection parameter '${name}'; the known ones are ${PARAMETERS.join(', ')}`,
      suggestion(lower, PARAMETERS),
    )
  }
  // libpq takes the last one; two passwords or hosts are a slip.
  if (Object.hasOwn(parameters, lower) && parameters[lower] !== value) {
    throw new MillraceError('CONFIG', `${key}: expected each parameter once; '${name}' is there twice`)
  }
  parameters[lower] = value
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
