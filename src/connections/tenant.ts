/**
 * For whom a connection authenticates. What a deployment passes along with the work (`values`, such as a tenant's name) reaches the
 * sources of credentials, so that two sets of values never share a token, nor an instance that was made with one:
 * - a configuration without any credential is shared by all, whatever the values;
 * - of any other one every set of values has instances and tokens of its own: databases in memory too, each with its own data;
 * - a file is open once in a process: while it is in use with one set of values, another one that needs credentials for it is
 *   refused (CONNECTION_CONFLICT); when it is idle it is closed and opened anew.
 */
import type { ConnectionConfig } from './config.ts'
import { CredentialReference } from './config/credential-reference.ts'
import { normalize, type NormalizedConnection } from './connection-key.ts'
import type { AuthContext } from './credentials/auth-context.ts'
import type { Credential } from './credentials/credential.ts'

export interface TenantConnection extends NormalizedConnection {
  /** One text for equal values, in whatever order; empty where there is nothing to tell apart. Not to be shown. */
  tenant: string
}

/** As `normalize`, with an identity of its own for each tenant. */
export function normalizeFor(config: ConnectionConfig, values: AuthContext['values']): TenantConnection {
  const normalized = normalize(config)
  const tenant = tenantOf(config, values)
  // Its files are asked for when they are needed, not here.
  if (tenant === '') return Object.assign(normalized, { tenant })
  return Object.assign(normalized, { tenant, identity: `${normalized.identity} for ${tenant}` })
}

export function tenantOf(config: ConnectionConfig, values: AuthContext['values']): string {
  if (values === undefined) return ''
  const names = Object.keys(values).sort()
  if (names.length === 0 || !holdsCredentials(config)) return ''
  return JSON.stringify(names.map((name) => [name, values[name]]))
}

const KINDS: ReadonlySet<unknown> = new Set<Credential['kind']>([
  'env',
  'file',
  'command',
  'oauth2',
  'motherduck',
  'function',
  'literal',
])

const known = new WeakMap<ConnectionConfig, boolean>()

/** Anywhere in it: the database's own, those of its secrets and of what is attached. */
function holdsCredentials(config: ConnectionConfig): boolean {
  const before = known.get(config)
  if (before !== undefined) return before
  const found = find(config, new Set())
  known.set(config, found)
  return found
}

function find(value: unknown, seen: Set<unknown>): boolean {
  if (typeof value !== 'object' || value === null || seen.has(value)) return false
  seen.add(value)
  if (value instanceof CredentialReference || ('kind' in value && KINDS.has(value.kind))) return true
  return Object.values(value).some((inner) => find(inner, seen))
}
