/** A Quack server: `quack:host:9494`. */
import { MillraceError } from '../../errors.ts'
import type { Credential } from '../credentials/credential.ts'
import { readCredential, toReference } from './credential-reference.ts'
import { readBoolean, readText, suggestion, wrongValue, type Data } from './read-value.ts'
import type { ConnectionContext } from './resolve-path.ts'

export interface QuackLocation {
  /** In lower case, IPv6 without brackets. */
  host: string
  /** Default 9494. */
  port: number
  /** The database on the server; null for the one that it was started with. */
  database: string | null
  token: Credential | null
  /** Plain HTTP. Default: for this machine only. */
  disableSsl: boolean
}

export const QUACK_KEYS = ['uri', 'token', 'database', 'disable_ssl']

/** Whether text means a Quack server. */
export function isQuack(text: string): boolean {
  return /^quack:/i.test(text.trim())
}

/**
 * @param given `uri`: `quack:host`, `quack:host:port`, `quack://host:port/?token=…`, or without `quack:`; the keys of
 * `QUACK_KEYS`. @throws MillraceError CONFIG
 */
export function parseQuack(given: Data, key: string, context: ConnectionContext): QuackLocation {
  const uri = readText(given['uri'] ?? null, `${key}.uri`).trim()
  const { host, port, parameters } = parseUri(uri, `${key}.uri`)
  for (const [name, value] of Object.entries(parameters)) {
    if (given[name] === undefined || (name === 'disable_ssl' && asBoolean(given[name]) === asBoolean(value))) continue
    throw new MillraceError('CONFIG', `${key}.${name}: expected one value; there is one in uri and one as a key`)
  }
  const { token, database, disable_ssl: disableSsl } = { ...parameters, ...given }
  return {
    host,
    port,
    database: database === undefined ? null : readText(database, `${key}.database`),
    token: token === undefined ? null : readCredential(token, `${key}.token`, context),
    disableSsl: disableSsl === undefined ? isLocal(host) : readBoolean(disableSsl, `${key}.disable_ssl`),
  }
}

/** `quack:host:port`, as ATTACH takes it. */
export function quackUri({ host, port }: QuackLocation): string {
  return `quack:${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Which database on which server, for whom. */
export function quackIdentity(location: QuackLocation): string {
  const { database, token } = location
  return `${quackUri(location)} ${database ?? ''} as ${toReference(token)?.identity ?? 'nobody'}`
}

export function canonicalQuack(location: QuackLocation): Record<string, unknown> {
  const { database, token, disableSsl } = location
  return { uri: quackUri(location), database, token: toReference(token), disable_ssl: disableSsl }
}

const DEFAULT_PORT = 9494
const MAX_PORT = 65_535
const PARAMETERS = ['token', 'disable_ssl']
const URI = /^(?:quack:(?:\/\/)?)?(?:\[([0-9a-f:.%]+)\]|([\w.-]+))(?::(\d+))?\/?(?:\?(.*))?$/i

function parseUri(uri: string, key: string): { host: string; port: number; parameters: Record<string, string> } {
  const [, ipv6, name, written, query = ''] = URI.exec(uri) ?? []
  const host = (ipv6 ?? name ?? '').toLowerCase()
  const port = written === undefined ? DEFAULT_PORT : Number(written)
  if (host === '' || port < 1 || port > MAX_PORT) {
    throw wrongValue(key, `'quack:host:port' with a port from 1 to ${MAX_PORT}, ${DEFAULT_PORT} unless written`, uri)
  }
  const parameters: Record<string, string> = {}
  for (const [parameter, value] of new URLSearchParams(query)) {
    const lower = parameter.toLowerCase()
    if (!PARAMETERS.includes(lower)) {
      throw new MillraceError(
        'CONFIG',
        `${key}: a Quack server has no parameter '${parameter}'; the known ones are ${PARAMETERS.join(', ')}`,
        suggestion(lower, PARAMETERS),
      )
    }
    parameters[lower] = value
  }
  return { host, port, parameters }
}

function isLocal(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

function asBoolean(value: unknown): boolean {
  return /^(?:true|1)$/i.test(String(value))
}
