/** What a process asks DuckDB to do, statement by statement: for tests of what happens between two of them. */
import { DuckDBConnection } from '@duckdb/node-api'

export interface WatchedStatement {
  sql: string
  /** The statements of its transaction up to now, itself included, each with its values as JSON. */
  transaction: readonly string[]
}

export interface StatementWatch {
  /** The statement waits for it. */
  before?(statement: WatchedStatement): Promise<void> | void
  /** Before anybody else learns that it succeeded. */
  succeeded?(statement: WatchedStatement): Promise<void> | void
  failed?(statement: WatchedStatement, error: unknown): void
}

/** Watches the statements of all connections of this process. @returns what ends it. */
export function watchStatements(watch: StatementWatch): () => void {
  const prototype = DuckDBConnection.prototype
  // oxlint-disable-next-line typescript/unbound-method -- called with the connection it was called on
  const original = prototype.runAndReadAll
  const transactions = new WeakMap<DuckDBConnection, string[]>()
  prototype.runAndReadAll = async function watched(this: DuckDBConnection, sql, values, types) {
    const before = sql.startsWith('BEGIN') ? [] : (transactions.get(this) ?? [])
    const transaction = [...before, `${sql} ${JSON.stringify(values, toText)}`]
    transactions.set(this, transaction)
    const statement = { sql, transaction }
    await watch.before?.(statement)
    try {
      const reader = await original.call(this, sql, values, types)
      await watch.succeeded?.(statement)
      return reader
    } catch (error) {
      watch.failed?.(statement, error)
      throw error
    } finally {
      if (sql === 'COMMIT' || sql === 'ROLLBACK') transactions.delete(this)
    }
  }
  return () => {
    prototype.runAndReadAll = original
  }
}

/** Whether the statement commits a transaction that has said all the texts, by itself or as the end of a script. */
export function isCommitOf({ sql, transaction }: WatchedStatement, ...texts: readonly string[]): boolean {
  if (!/(^|;\s*)COMMIT;?$/.test(sql)) return false
  return texts.every((text) => transaction.some((statement) => statement.includes(text)))
}

function toText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
