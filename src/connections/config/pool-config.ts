/** `pool`: how a connection's leases share its database, where the type's own way is not the right one. */
import { MillraceError } from '../../errors.ts'
import type { ConnectionType } from './connection-type.ts'
import { assertKnownKeys, readChoice, readDurationMs, readMapping, wrongValue } from './read-value.ts'

/**
 * `shared`: a connection per lease on one instance. `session`: a session of its own on the server per lease.
 * `instance`: an instance of its own per lease. `single`: one lease at a time.
 */
export const POOL_STRATEGIES = ['shared', 'session', 'instance', 'single'] as const
export type PoolStrategy = (typeof POOL_STRATEGIES)[number]

export interface PoolConfig {
  /** Default: by type. */
  strategy: PoolStrategy
  /** Transactions that write at once: any number, or one. Default: `one` for DuckLake, else `many`. */
  writers: 'many' | 'one'
  /** An instance that nobody uses is closed after this time; null for the registry's default. */
  idleMs: number | null
  /** An instance is replaced at this age; null: never. */
  maxAgeMs: number | null
  /** How long a lease waits for its turn; null for the registry's default. */
  leaseTimeoutMs: number | null
  /** A statement is interrupted after this time; null: never. */
  statementTimeoutMs: number | null
}

/** What each type can be told, its own way first. One file in one process has one instance, so that files have no `instance`. */
const STRATEGIES: Readonly<Record<ConnectionType, readonly PoolStrategy[]>> = {
  duckdb: ['shared', 'single'],
  motherduck: ['shared', 'instance', 'single'],
  ducklake: ['shared', 'single'],
  quack: ['session', 'single'],
}

const KEYS = ['strategy', 'writers', 'idle', 'max_age', 'lease_timeout', 'statement_timeout']

/** @returns null when nothing is written. @throws MillraceError CONFIG */
export function parsePool(raw: unknown, type: ConnectionType, key: string): PoolConfig | null {
  if (raw === undefined || raw === null) return null
  const isName = typeof raw === 'string' && !raw.trimStart().startsWith('{')
  const given = isName ? { strategy: raw } : readMapping(raw, key)
  if (Object.keys(given).length === 0) return null
  assertKnownKeys(given, KEYS, { key, of: 'a pool' })
  const duration = (name: string) => (given[name] === undefined ? null : readDurationMs(given[name], `${key}.${name}`))
  return {
    ...defaultPool(type),
    ...('strategy' in given ? { strategy: readStrategy(given['strategy'], type, `${key}.strategy`) } : {}),
    ...('writers' in given ? { writers: readWriters(given['writers'], type, `${key}.writers`) } : {}),
    idleMs: duration('idle'),
    maxAgeMs: duration('max_age'),
    leaseTimeoutMs: duration('lease_timeout'),
    statementTimeoutMs: duration('statement_timeout'),
  }
}

/** What applies where nothing is written. */
export function defaultPool(type: ConnectionType): PoolConfig {
  return {
    strategy: STRATEGIES[type][0] ?? 'shared',
    writers: type === 'ducklake' ? 'one' : 'many',
    idleMs: null,
    maxAgeMs: null,
    leaseTimeoutMs: null,
    statementTimeoutMs: null,
  }
}

export function canonicalPool(pool: PoolConfig | null, type: ConnectionType): Record<string, unknown> {
  const { strategy, writers, idleMs, maxAgeMs, leaseTimeoutMs, statementTimeoutMs } = pool ?? defaultPool(type)
  return {
    strategy,
    writers,
    idle: inSeconds(idleMs),
    max_age: inSeconds(maxAgeMs),
    lease_timeout: inSeconds(leaseTimeoutMs),
    statement_timeout: inSeconds(statementTimeoutMs),
  }
}

/** As configurations write durations. */
export function inSeconds(durationMs: number | null): string | null {
  return durationMs === null ? null : `${durationMs / 1000}s`
}

function readStrategy(value: unknown, type: ConnectionType, key: string): PoolStrategy {
  const strategy = readChoice(value, key, POOL_STRATEGIES)
  if (STRATEGIES[type].includes(strategy)) return strategy
  throw wrongValue(key, `one of ${STRATEGIES[type].join(', ')} for a connection of type ${type}`, value)
}

function readWriters(value: unknown, type: ConnectionType, key: string): 'many' | 'one' {
  const writers = readChoice(value, key, ['many', 'one'])
  if (writers === 'one' || type !== 'ducklake') return writers
  throw new MillraceError('CONFIG', `${key}: expected 'one' for a connection of type ducklake; got 'many'`, {
    hint: 'Transactions that write to one lake at the same time crash the process or mix up tables.',
  })
}
