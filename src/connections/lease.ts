/** One holder's connection, from the registry until its release. */
import type { Admission } from './limits/admission.ts'
import type { CheckpointGate } from './limits/checkpoint-gate.ts'
import type { DatabaseCapabilities, Target } from './databases/database.ts'
import { toJsonRows, type JsonValue } from './json-rows.ts'
import type { SqlValues, StatementProgress } from './channel.ts'
import { laneThenGate } from './limits/lane.ts'
import type { Session } from './session.ts'
import { runScript, runTransaction, type Transaction } from './transaction.ts'
import { replaceBy, runUploads, type Upload } from './upload.ts'

export interface LeasedDatabase {
  /** The file; null when it has none. */
  path: string | null
  /** Name of the catalog, in DuckDB, that unqualified names mean. */
  catalog: string
  capabilities: DatabaseCapabilities
}

/**
 * A connection of its own. Statements run one after another, in UTC, relative paths in SQL start at the project's folder.
 * Errors of the database are thrown as they are: `classifySqlError` tells what they mean.
 */
export interface Lease extends AsyncDisposable {
  /** Of the connection; without secrets. */
  readonly key: string
  readonly database: LeasedDatabase
  /** Statements that touch nothing but temporary tables; writers do not wait for them. */
  stage(sql: string): Promise<void>
  /**
   * One or several statements that commit by themselves. When it is interrupted, it is not known whether the last one did:
   * what must be known belongs into a transaction.
   */
  run(sql: string, values?: SqlValues): Promise<void>
  /**
   * Integers are numbers as long as a number holds them exactly, else text; DECIMAL, DATE, TIMESTAMP are text as DuckDB prints
   * them, TIMESTAMPTZ in UTC; lists are arrays, structs objects.
   */
  rows<T = Record<string, JsonValue>>(sql: string, values?: SqlValues): Promise<T[]>
  /** Commits when `body` returns. @throws CommitOutcomeUnknown when only the data can tell whether it was committed. */
  transaction<T>(body: (tx: Transaction) => Promise<T>): Promise<T>
  /**
   * Statements in one transaction, sent as one string with BEGIN and COMMIT around them: faster than a transaction of many calls,
   * and all or nothing wherever it runs. An abort waits for its end.
   * @param uploads are there for the statements, under their names in the schema `main`, when `localFiles` is false; the statements drop them.
   * @throws the failed statement's error, nothing is committed then; CommitOutcomeUnknown when only the data can tell.
   */
  script(sql: string, uploads?: readonly Upload[]): Promise<void>
  /** Rows of a query that runs on this machine, where its files are: the database itself, where it runs here. */
  localRows<T = Record<string, JsonValue>>(sql: string): Promise<T[]>
  /**
   * A table of the rows of a query that runs on this machine, where its files are; one that exists is replaced, all at once. Commits
   * by itself.
   * @param table quoted. @throws the query's error or the database's, the table is as before then; CommitOutcomeUnknown.
   */
  upload(table: string, query: string): Promise<void>
  /**
   * How far a long statement is that runs in a transaction or a `stage`, by the database's own estimate. Null when none runs, or
   * nobody can tell: where statements run on a server, or settings are locked.
   */
  progress(): StatementProgress | null
  /** Waits until other transactions have ended, at most 5 s, and writes the log into the file. Does nothing where it cannot. */
  checkpoint(): Promise<void>
  /** Rolls back what is open and gives the connection back. @throws at the second call. */
  release(): Promise<void>
  /** Releases, unless that was done. */
  [Symbol.asyncDispose](): Promise<void>
}

export interface LeaseParts {
  key: string
  /** What it writes to. */
  target: Target
  session: Session
  gate: CheckpointGate | null
  /** What transactions pass through one at a time; null where many may write. */
  lane: Admission | null
  onRelease: () => void
}

export function createLease({ key, target, session, gate, lane, onRelease }: LeaseParts): Lease {
  let released = false
  let inTransaction = false

  function assertUsable(): void {
    if (released) throw new Error('a lease was used after its release')
  }

  function assertNoTransaction(): void {
    assertUsable()
    if (inTransaction) throw new Error('a lease has one transaction at a time; use its Transaction, or another lease')
  }

  async function alone<T>(work: () => Promise<T>): Promise<T> {
    assertNoTransaction()
    inTransaction = true
    try {
      return await work()
    } finally {
      inTransaction = false
    }
  }

  const capabilities: DatabaseCapabilities =
    lane === null ? target.capabilities : { ...target.capabilities, writers: 'one' }
  const scope = { session, admission: laneThenGate(lane, gate) }

  async function execute(sql: string, values?: SqlValues) {
    assertNoTransaction()
    return session.execute({ sql, values, onAbort: 'interrupt' })
  }

  async function run(sql: string, values?: SqlValues): Promise<void> {
    assertNoTransaction()
    const leave = await lane?.enter(session.signal)
    try {
      await execute(sql, values)
    } finally {
      leave?.()
    }
  }

  async function release(): Promise<void> {
    if (released) throw new Error('a lease was released twice')
    released = true
    try {
      await session.close()
    } finally {
      onRelease()
    }
  }

  return {
    key,
    database: { path: target.path, catalog: target.catalog, capabilities },
    stage: async (sql) => {
      await execute(`${session.progressPrefix}${sql}`)
    },
    run,
    rows: async <T>(sql: string, values?: SqlValues) => toJsonRows(await execute(sql, values)) as T[],
    transaction: (body) => alone(() => runTransaction(scope, body)),
    script: (sql, uploads = []) =>
      alone(() => (uploads.length === 0 ? runScript(scope, sql) : runUploads(scope, uploads, sql))),
    localRows: async <T>(sql: string) => {
      assertNoTransaction()
      return toJsonRows(await session.execute({ sql, onAbort: 'interrupt', local: { into: null } })) as T[]
    },
    upload: async (table, query) => {
      if (capabilities.localFiles) return run(`CREATE OR REPLACE TABLE ${table} AS ${query}`)
      const { uploads, sql } = replaceBy(table, query)
      await alone(() => runUploads(scope, uploads, sql))
    },
    progress: () => (released ? null : session.progress()),
    checkpoint: async () => {
      assertNoTransaction()
      await gate?.checkpoint()
    },
    release,
    [Symbol.asyncDispose]: async () => {
      if (!released) await release()
    },
  }
}
