/** One connection and what runs on it: one statement at a time, interrupted when its holder gives up. */
import type { DuckDBResultReader } from '@duckdb/node-api'
import type { Channel, SqlValues } from './channel.ts'
import { ConnectionLost } from './connection-lost.ts'
import { CredentialRefused } from './credential-refused.ts'
import { classifySqlError, mayBeRefusal } from './sql-errors.ts'

export interface Statement {
  sql: string
  values?: SqlValues | undefined
  /** `hold`: runs although the holder gave up, and to its end: COMMIT, ROLLBACK. */
  onAbort: 'interrupt' | 'hold'
}

export interface Session {
  /** Aborted when the holder gives up, or the database is lost. */
  readonly signal: AbortSignal
  /**
   * Statements run in the order in which they are asked for.
   * @throws the database's error as it is; the signal's reason when it is aborted.
   */
  execute(statement: Statement): Promise<DuckDBResultReader>
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
  /** The database is invalidated: no statement on it works any more. */
  onBroken: (cause: unknown) => void
  /** A server refused a credential. @returns whether another attempt will have another one. */
  onRefused: () => boolean
}

/** An interrupt that arrives before its statement has started is lost: it is repeated until the statement ends. */
const INTERRUPT_EVERY_MS = 10

export function createSession({ channel, signal, onBroken, onRefused }: SessionOptions): Session {
  const controller = new AbortController()
  const abortWithHolder = (): void => controller.abort(signal?.reason)
  if (signal?.aborted === true) abortWithHolder()
  else signal?.addEventListener('abort', abortWithHolder, { once: true })
  let tail: Promise<unknown> = Promise.resolve()
  let closing: Promise<void> | null = null

  async function perform({ sql, values, onAbort }: Statement): Promise<DuckDBResultReader> {
    if (closing !== null) throw new ConnectionLost('the connection is closed')
    if (onAbort === 'hold') return read(sql, values)
    controller.signal.throwIfAborted()
    const stop = interruptOnAbort()
    try {
      const reader = await read(sql, values)
      // An interrupted read may end early without an error.
      controller.signal.throwIfAborted()
      return reader
    } catch (error) {
      controller.signal.throwIfAborted()
      throw error
    } finally {
      stop()
    }
  }

  async function read(sql: string, values: SqlValues | undefined): Promise<DuckDBResultReader> {
    try {
      return await channel.query(sql, values)
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

  /** Where nothing can be interrupted, the statement is waited for. */
  function interruptOnAbort(): () => void {
    if (channel.interrupt === null) return () => undefined
    const end = channel.interrupt
    let timer: NodeJS.Timeout | undefined
    const interrupt = (): void => {
      end()
      timer = setInterval(end, INTERRUPT_EVERY_MS)
    }
    controller.signal.addEventListener('abort', interrupt, { once: true })
    return () => {
      clearInterval(timer)
      controller.signal.removeEventListener('abort', interrupt)
    }
  }

  async function settled(): Promise<void> {
    await tail
  }

  async function close(): Promise<void> {
    signal?.removeEventListener('abort', abortWithHolder)
    controller.abort(new ConnectionLost('the connection is closed'))
    // A connection that is closed under a running statement would take the process down.
    await tail
    await channel.close()
  }

  return {
    signal: controller.signal,
    execute: (statement) => {
      const result = tail.then(() => perform(statement))
      tail = result.catch(() => undefined)
      return result
    },
    settled,
    abort: (reason) => controller.abort(reason),
    close: () => (closing ??= close()),
  }
}
