/** One connection and what runs on it: one statement at a time, interrupted when its holder gives up. */
import type { DuckDBResultReader } from '@duckdb/node-api'
import { MillraceError } from '../errors.ts'
import type { Channel, SqlValues, StatementProgress } from './channel.ts'
import { ConnectionLost } from './connection-lost.ts'
import { CredentialRefused } from './credential-refused.ts'
import { timerDelay } from './limits/timer-delay.ts'
import { classifySqlError, mayBeRefusal } from './sql-errors.ts'

export interface Statement {
  sql: string
  values?: SqlValues | undefined
  /** `hold`: runs although the holder gave up, and to its end: COMMIT, ROLLBACK. */
  onAbort: 'interrupt' | 'hold'
  /** Set: runs on this machine; its rows are returned, or go into a new table of the database. */
  local?: { into: string | null }
}

export interface Session {
  /** Aborted when the holder gives up, or the database is lost. */
  readonly signal: AbortSignal
  /**
   * Statements run in the order in which they are asked for.
   * @throws the database's error as it is; the signal's reason when it is aborted; MillraceError SQL for one that ran too long.
   */
  execute(statement: Statement): Promise<DuckDBResultReader>
  /** Goes before a statement, on its line, when its progress is of interest; empty where nobody can tell. */
  readonly progressPrefix: string
  /** Of the statement that runs; null when none does, or nobody can tell. */
  progress(): StatementProgress | null
  /** When all statements asked for so far have ended. */
  settled(): Promise<void>
  abort(reason: unknown): void
  /** Ends what runs and closes the connection. Never throws; the second call is the first. */
  close(): Promise<void>
}

export interface SessionOptions {
  channel: Channel
  /** The holder's. */
  signal?: AbortSignal | undefined
  /**
   * A statement that runs longer is ended and fails; null: never. One that nothing can end fails when it has ended. What is to
   * `hold` has no limit.
   */
  statementTimeoutMs?: number | null
  /** The database is invalidated: no statement on it works any more. */
  onBroken: (cause: unknown) => void
  /** A server refused a credential. @returns whether another attempt will have another one. */
  onRefused: () => boolean
}

/** An interrupt that arrives before its statement has started is lost: it is repeated until the statement ends. */
const INTERRUPT_EVERY_MS = 10

export function createSession(options: SessionOptions): Session {
  const { channel, signal, statementTimeoutMs = null, onBroken, onRefused } = options
  /** Made when somebody wants to hear of it: most sessions run a few statements and are closed. */
  let controller: AbortController | null = null
  let aborted: { reason: unknown } | null = null
  /** Statements that were asked for and have not ended. */
  let pending = 0
  const abortWithHolder = (): void => abort(signal?.reason)
  let tail: Promise<unknown> = Promise.resolve()
  let closing: Promise<void> | null = null
  /** Ends the statement that runs; null when none does, or it is to hold. */
  let endRunning: (() => void) | null = null
  if (signal?.aborted === true) abortWithHolder()
  else signal?.addEventListener('abort', abortWithHolder, { once: true })

  function abort(reason: unknown): void {
    aborted ??= { reason }
    controller?.abort(reason)
    endRunning?.()
  }

  function assertWanted(): void {
    if (aborted !== null) throw aborted.reason
  }

  async function perform(statement: Statement): Promise<DuckDBResultReader> {
    if (closing !== null) throw new ConnectionLost('the connection is closed')
    if (statement.onAbort === 'hold') return read(statement)
    assertWanted()
    const running = start()
    try {
      const reader = await read(statement)
      // An interrupted read may end early without an error.
      assertWanted()
      running.assertInTime()
      return reader
    } catch (error) {
      assertWanted()
      running.assertInTime()
      throw error
    } finally {
      running.stop()
    }
  }

  async function read({ sql, values, local }: Statement): Promise<DuckDBResultReader> {
    try {
      if (local === undefined || channel.local === null) return await channel.query(sql, values)
      return await (local.into === null ? channel.local.query(sql) : channel.local.upload(local.into, sql))
    } catch (error) {
      await checkHealth(error)
      if (mayBeRefusal(error) && onRefused()) throw new CredentialRefused(error)
      throw error
    }
  }

  /** A failure inside DuckDB may have invalidated the whole database; only another statement tells. */
  async function checkHealth(error: unknown): Promise<void> {
    const { kind } = classifySqlError(error)
    if (kind === 'fatal') onBroken(error)
    if (kind !== 'internal') return
    try {
      await channel.query('SELECT 1')
    } catch (probe) {
      if (classifySqlError(probe).kind === 'fatal') onBroken(probe)
    }
  }

  /** From here on the statement can be ended. Where nothing can be interrupted, it is waited for. */
  function start(): { assertInTime(): void; stop(): void } {
    let repeat: NodeJS.Timeout | undefined
    let timedOut = false
    const end = (): void => {
      if (channel.interrupt === null || repeat !== undefined) return
      channel.interrupt()
      repeat = setInterval(channel.interrupt, INTERRUPT_EVERY_MS)
    }
    const limit =
      statementTimeoutMs === null
        ? undefined
        : setTimeout(() => {
            timedOut = true
            end()
          }, timerDelay(statementTimeoutMs))
    endRunning = end
    return {
      assertInTime: () => {
        if (timedOut) throw tookTooLong(statementTimeoutMs ?? 0, channel.interrupt !== null)
      },
      stop: () => {
        endRunning = null
        clearInterval(repeat)
        clearTimeout(limit)
      },
    }
  }

  function ended(): void {
    pending -= 1
  }

  async function settled(): Promise<void> {
    await tail
  }

  async function close(): Promise<void> {
    signal?.removeEventListener('abort', abortWithHolder)
    // Where nobody would notice, there is no error to make either.
    if (pending > 0 || controller !== null) abort(new ConnectionLost('the connection is closed'))
    // A connection that is closed under a running statement would take the process down.
    await tail
    await channel.close()
  }

  return {
    get signal() {
      if (controller === null) {
        controller = new AbortController()
        if (aborted !== null) controller.abort(aborted.reason)
      }
      return controller.signal
    },
    execute: (statement) => {
      pending += 1
      const result = tail.then(() => perform(statement))
      tail = result.then(ended, ended)
      return result
    },
    progressPrefix: channel.progress?.prefix ?? '',
    // A closed connection must not be asked.
    progress: () => (pending === 0 ? null : (channel.progress?.read() ?? null)),
    settled,
    abort,
    close: () => (closing ??= close()),
  }
}

function tookTooLong(limitMs: number, interrupted: boolean): MillraceError {
  const limit = `${limitMs / 1000} s (pool.statement_timeout)`
  const message = interrupted
    ? `a statement was interrupted after ${limit}`
    : `a statement ran longer than ${limit}; it could not be interrupted and has ended by itself`
  return new MillraceError('SQL', message, {
    hint: 'Raise statement_timeout in the pool of the connection, or make the query smaller.',
  })
}
