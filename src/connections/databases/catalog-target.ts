/** What each catalog of an instance promises to whoever writes to it. */
import type { AttachedDatabase } from '../config/attached-database.ts'
import { duckLakeIdentity } from '../config/ducklake-config.ts'
import { createWriterLane } from '../limits/writer-lane.ts'
import { LOCAL_DUCKDB, MOTHERDUCK } from './capabilities.ts'
import type { DatabaseCapabilities, NotWritable, Target } from './database.ts'
import type { PostgresLock } from './postgres-lock.ts'

/** @param lockIn makes the lock of a lake in PostgreSQL. */
export function toTarget(
  name: string,
  database: AttachedDatabase,
  lockIn: (metadataSchema: string) => PostgresLock,
): Target | NotWritable {
  if (database.readOnly) {
    return { reason: 'is attached read-only', hint: 'Write read_only: false, or build into another catalog.' }
  }
  const capabilities = capabilitiesOf(database)
  if (capabilities === null) return readerOf(database)
  if (database.type !== 'ducklake') {
    const path = database.type === 'duckdb' ? database.path : null
    return { path, catalog: name, capabilities, lane: null }
  }
  const remote = database.catalog.kind === 'postgres' ? lockIn(database.metadataSchema ?? 'public') : null
  return { path: null, catalog: name, capabilities, lane: createWriterLane(duckLakeIdentity(database), remote) }
}

/** Null for those that are attached for reading only. */
export function capabilitiesOf(database: AttachedDatabase): DatabaseCapabilities | null {
  switch (database.type) {
    case 'duckdb': {
      return { ...LOCAL_DUCKDB, persistent: database.path !== null, checkpoints: false, processes: 'one' }
    }
    case 'motherduck':
      return MOTHERDUCK
    case 'ducklake': {
      const processes = database.catalog.kind === 'postgres' ? 'many' : 'one'
      const lake = { uniqueKeys: false, writers: 'one', viewColumnComments: false } as const
      return { ...LOCAL_DUCKDB, ...lake, persistent: true, checkpoints: false, processes }
    }
    case 'postgres':
    case 'sqlite':
    case 'quack':
      return null
  }
}

/** Those without a promise of their own. */
function readerOf({ type }: AttachedDatabase): NotWritable {
  if (type === 'quack') {
    return {
      reason: 'is on a Quack server, attached for reading',
      hint: 'Give it a gateway of its own, of type quack.',
    }
  }
  const what = type === 'sqlite' ? 'a SQLite file' : 'a PostgreSQL database'
  return {
    reason: `is ${what}, attached for reading`,
    hint: 'Read it, and build into a DuckDB file, a DuckLake or MotherDuck.',
  }
}
