/** The lock in a lake's PostgreSQL that lets one process write at a time. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { createHash } from 'node:crypto'
import { quoteString } from '../../sql/identifiers.ts'
import { outsideContext } from '../outside-context.ts'
import type { RemoteLock } from '../limits/writer-lane.ts'

export interface PostgresLock extends RemoteLock {
  /** Closes its connection once nothing runs on it; it opens another one when it is asked again. Never rejects. */
  settled(): Promise<void>
}

export interface PostgresLockOptions {
  connect: () => Promise<DuckDBConnection>
  /** The catalog with the lake's own tables, as DuckDB knows it now. */
  metadata: () => string
  /** The schema of those tables: one database may hold several lakes. */
  schema: string
}

/** PostgreSQL gives up after this, so that whoever was aborted is heard: DuckDB cannot interrupt the wait for a server. */
const ROUND_MS = 1000

/**
 * An advisory lock of a transaction of its own, on a connection of its own: it ends when it is rolled back after the writer's
 * COMMIT, and with the connection when the process dies. Measured with DuckDB 1.5.5 and PostgreSQL 18:
 * - DuckLake reads through a connection of its own, whose snapshot begins after the lock was taken: whoever waited sees what was
 *   committed meanwhile. A statement in the lock's own transaction would not: its snapshot is as old as the wait.
 * - As first statement of the writer's transaction the lock would work, too, but a waiting holder could not be interrupted.
 * - Those who wait are served in PostgreSQL's order, but for a round that ends just then.
 */
export function createPostgresLock({ connect, metadata, schema }: PostgresLockOptions): PostgresLock {
  const key = lockKey(schema)
  let connection: DuckDBConnection | null = null
  let running: Promise<unknown> = Promise.resolve()

  function run<T>(work: () => Promise<T>): Promise<T> {
    const result = outsideContext(work)
    running = result.catch(() => undefined)
    return result
  }

  async function tryOnce(): Promise<boolean> {
    connection ??= await connect()
    try {
      await connection.run(`BEGIN; FROM postgres_query(${quoteString(metadata())}, ${quoteString(lockQuery(key))})`)
      return true
    } catch (error) {
      await end()
      if (isTimeout(error)) return false
      throw error
    }
  }

  /** A connection that cannot roll back is given up, and PostgreSQL ends its transaction. */
  async function end(): Promise<void> {
    try {
      await connection?.run('ROLLBACK')
    } catch {
      connection?.disconnectSync()
      connection = null
    }
  }

  return {
    acquire: async (signal) => {
      for (;;) {
        signal?.throwIfAborted()
        if (!(await run(tryOnce))) continue
        if (signal?.aborted === true) await run(end)
        signal?.throwIfAborted()
        return () => run(end)
      }
    },
    settled: async () => {
      await running
      connection?.disconnectSync()
      connection = null
    },
  }
}

/** Its transaction is idle while the writer works; a server that ends those would let another writer in. */
function lockQuery(key: bigint): string {
  return `SELECT set_config('lock_timeout', '${ROUND_MS}', true) || set_config('idle_in_transaction_session_timeout', '0', true) AS set, pg_advisory_xact_lock(${key})::text AS lock`
}

/** PostgreSQL's locks are those of one database, so that the way there does not matter: hosts have many names. */
function lockKey(schema: string): bigint {
  return createHash('sha256').update(`millrace writer lane ${schema.toLowerCase()}`).digest().readBigInt64BE()
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message.includes('due to lock timeout')
}
