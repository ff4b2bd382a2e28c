/** What the registry remembers of a key while its instances come and go: how often it was opened, what failed, whether it can be reached. */
import type { ConnectionType } from './config.ts'
import { withoutSecrets } from './config/secret-text.ts'
import {
  createBreaker,
  DatabaseUnavailable,
  type Breaker,
  type BreakerOptions,
  type BreakerSnapshot,
} from './limits/breaker.ts'
import { classifySqlError } from './sql-errors.ts'

/** Errors of opening and connecting, and those that ended an instance; not of statements. */
export interface ErrorsSnapshot {
  count: number
  /** One line without secrets; null when there was none. */
  last: string | null
  lastAtMs: number | null
}

export interface KeySnapshot {
  key: string
  type: ConnectionType
  /** The file, or what else it is. */
  database: string
  /** A short name for metrics and lists: the file's own. */
  label: string
  /** The number of the database's last instance, counted from 1 under all its configurations; 0 before the first. */
  generation: number
  /** Instances opened with this key. */
  opens: number
  errors: ErrorsSnapshot
  breaker: BreakerSnapshot
}

export interface KeyRecord {
  readonly breaker: Breaker
  /** @returns the instance's number. */
  opened(): number
  /** Counts it, unless it is a lock, which is waited for, or says no more than that the database was out of reach before. */
  failed(error: unknown): void
  snapshot(): KeySnapshot
}

export interface KeyRecords {
  /** Made when it is first asked for; one for each key. */
  of(database: KeyedDatabase): KeyRecord
  /** Null when the key was never asked for. */
  find(key: string): KeyRecord | null
  all(): KeyRecord[]
}

export interface KeyedDatabase {
  key: string
  identity: string
  type: ConnectionType
  description: string
  label: string
}

export function createKeyRecords(options: BreakerOptions): KeyRecords {
  const records = new Map<string, KeyRecord>()
  /** Instances opened, by identity. */
  const generations = new Map<string, number>()

  function create({ key, identity, type, description, label }: KeyedDatabase): KeyRecord {
    const breaker = createBreaker(description, options)
    const errors: ErrorsSnapshot = { count: 0, last: null, lastAtMs: null }
    let opens = 0
    let generation = 0
    return {
      breaker,
      opened: () => {
        opens += 1
        generation = (generations.get(identity) ?? 0) + 1
        generations.set(identity, generation)
        return generation
      },
      failed: (error) => {
        if (error instanceof DatabaseUnavailable || classifySqlError(error).kind === 'lock') return
        errors.count += 1
        errors.last = withoutSecrets(classifySqlError(error).message)
        errors.lastAtMs = Date.now()
      },
      snapshot: () => ({
        key,
        type,
        database: description,
        label,
        generation,
        opens,
        errors: { ...errors },
        breaker: breaker.snapshot(),
      }),
    }
  }

  return {
    of: (database) => {
      const record = records.get(database.key) ?? create(database)
      records.set(database.key, record)
      return record
    },
    find: (key) => records.get(key) ?? null,
    all: () => [...records.values()],
  }
}
