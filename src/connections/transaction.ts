/** BEGIN … COMMIT on one session, with the rules that were measured to be needed. */
import type { Admission } from './limits/admission.ts'
import { CommitOutcomeUnknown } from './commit-outcome-unknown.ts'
import { toJsonRows, type JsonValue } from './json-rows.ts'
import type { SqlValues } from './channel.ts'
import type { Session } from './session.ts'
import { classifySqlError, type SqlErrorKind } from './sql-errors.ts'

export { CommitOutcomeUnknown }

/** Statements of one transaction; of no use after its end. */
export interface Transaction {
  run(sql: string, values?: SqlValues): Promise<void>
  /** As `Lease.rows`. */
  rows<T = Record<string, JsonValue>>(sql: string, values?: SqlValues): Promise<T[]>
  /**
   * The last statements, and COMMIT, in one call; an abort waits for its end. Without it the transaction commits when its
   * body returns.
   * @throws the failed statement's error, nothing is committed then; CommitOutcomeUnknown after any error of COMMIT.
   */
  commit(sql: string): Promise<void>
}

export interface TransactionScope {
  session: Session
  /** Null where transactions begin as they like. */
  admission: Admission | null
}

/**
 * Commits what `body` did when it returns and no statement failed, even one whose error the body swallowed: a COMMIT of an
 * aborted transaction answers OK and discards everything. An abort interrupts the body and rolls back; one that arrives
 * during COMMIT changes nothing any more.
 * @throws what the body threw, after ROLLBACK; the first failed statement's error; the signal's reason;
 * CommitOutcomeUnknown after any error of COMMIT.
 */
export async function runTransaction<T>(scope: TransactionScope, body: (tx: Transaction) => Promise<T>): Promise<T> {
  const { session, admission } = scope
  const leave = await admission?.enter(session.signal)
  try {
    session.signal.throwIfAborted()
    const { result, open } = await runBody(scope, body)
    if (open) await commit(session)
    return result
  } finally {
    leave?.()
  }
}

/**
 * Runs statements between BEGIN and COMMIT, all as one string. An abort waits for its end, since it cannot be told apart from one
 * that arrives during COMMIT.
 * @throws the failed statement's error when nothing was committed; CommitOutcomeUnknown when that is not known.
 */
export async function runScript({ session, admission }: TransactionScope, sql: string): Promise<void> {
  const leave = await admission?.enter(session.signal)
  try {
    session.signal.throwIfAborted()
    // On one line, so that places in errors are places in the caller's text.
    await sendScript(session, `BEGIN; ${sql}\n;COMMIT`)
  } finally {
    leave?.()
  }
}

/**
 * @param sql ends with COMMIT; its transaction is begun there or was before.
 * @throws as `runScript`.
 */
export async function sendScript(session: Session, sql: string): Promise<void> {
  try {
    await session.execute({ sql, onAbort: 'hold' })
  } catch (error) {
    // A transaction that is still open was not committed. One that is not has never begun, or failed in its COMMIT.
    const wasOpen = await rollback(session)
    if (wasOpen || !COMMIT_ERRORS.has(classifySqlError(error).kind)) throw error
    throw new CommitOutcomeUnknown(error)
  }
}

/** What COMMIT can answer with. */
const COMMIT_ERRORS: ReadonlySet<SqlErrorKind> = new Set<SqlErrorKind>([
  'conflict',
  'io',
  'out_of_memory',
  'interrupt',
  'internal',
  'fatal',
  'connection',
  'other',
])

/** @returns whether a transaction is left to commit: one was begun, and the body did not commit it itself. */
async function runBody<T>(
  { session }: TransactionScope,
  body: (tx: Transaction) => Promise<T>,
): Promise<{ result: T; open: boolean }> {
  const failures: unknown[] = []
  let usable = true
  let begun = false
  let committed = false
  const begin = `${session.progressPrefix}BEGIN;`
  const execute = async (sql: string, values?: SqlValues) => {
    if (!usable) throw new Error('a statement was run on a transaction that has ended')
    try {
      if (begun) return await session.execute({ sql, values, onAbort: 'interrupt' })
      begun = true
      // Together with the first statement: each call costs a turn through the thread pool.
      if (values === undefined) return await session.execute({ sql: `${begin}\n${sql}`, values, onAbort: 'interrupt' })
      await session.execute({ sql: begin, onAbort: 'hold' })
      return await session.execute({ sql, values, onAbort: 'interrupt' })
    } catch (error) {
      failures.push(error)
      throw error
    }
  }
  try {
    const result = await body({
      run: async (sql, values) => {
        await execute(sql, values)
      },
      rows: async <R>(sql: string, values?: SqlValues) => toJsonRows(await execute(sql, values)) as R[],
      commit: async (sql) => {
        if (!usable) throw new Error('a transaction was committed after its end')
        usable = false
        await session.settled()
        if (failures.length > 0) throw failures[0]
        session.signal.throwIfAborted()
        await commit(session, begun ? sql : `BEGIN;\n${sql}`)
        committed = true
      },
    })
    usable = false
    // Statements that the body did not wait for belong to the transaction too.
    await session.settled()
    if (failures.length > 0) throw failures[0]
    if (!committed) session.signal.throwIfAborted()
    return { result, open: begun && !committed }
  } catch (error) {
    usable = false
    await session.settled()
    if (begun && !committed) await rollback(session)
    throw error
  }
}

/** @throws the error of `last`, when it is what failed. */
async function commit(session: Session, last?: string): Promise<void> {
  try {
    await session.execute({ sql: last === undefined ? 'COMMIT' : `${last}\n;COMMIT`, onAbort: 'hold' })
  } catch (error) {
    // A transaction that is still open has not come to its COMMIT; a failed COMMIT ends it.
    if (await rollback(session)) throw error
    throw new CommitOutcomeUnknown(error)
  }
}

/** @returns whether a transaction was open. A session whose transaction cannot be ended is closed. */
export async function rollback(session: Session): Promise<boolean> {
  try {
    await session.execute({ sql: 'ROLLBACK', onAbort: 'hold' })
    return true
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    if (!text.includes('no transaction is active')) await session.close()
    return false
  }
}
