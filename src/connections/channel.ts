/** How statements of one session reach their database, and how a running one is ended. */
import type { DuckDBConnection, DuckDBResultReader, DuckDBValue } from '@duckdb/node-api'

export type SqlValue = DuckDBValue
/** `$1`, `$2` … or `$name`. */
export type SqlValues = readonly SqlValue[] | Readonly<Record<string, SqlValue>>

/** One statement at a time; the session sees to that. */
export interface Channel {
  /**
   * One or several statements; only a single one has values.
   * @returns the last one's result; of several that give rows, a server may return the first one's. @throws the database's error as it is.
   */
  query(sql: string, values?: SqlValues): Promise<DuckDBResultReader>
  /** For what only this machine can read; null where `query` runs on this machine anyway. */
  readonly local: LocalQueries | null
  /** Ends the statement that runs; null where a statement runs to its end, whatever happens. */
  readonly interrupt: (() => void) | null
  /** How far the statement is that runs; absent where nobody can tell. */
  readonly progress?: ProgressMeter
  /** Nothing runs on it any more. Never throws. */
  close(): Promise<void>
}

export interface ProgressMeter {
  /** Goes before a statement, on its line: that one and those after it tell how far they are. */
  readonly prefix: string
  /** Null while nothing runs that can tell. */
  read(): StatementProgress | null
}

/** By the database's own estimate. */
export interface StatementProgress {
  /** Rows that went through the part of the query that runs now. */
  rows: number
  /** 0 to 100. */
  percent: number
}

/** Beside statements that run elsewhere. Times without a zone are in UTC. */
export interface LocalQueries {
  /** One statement. */
  query(sql: string): Promise<DuckDBResultReader>
  /**
   * The rows of a query → a new table of the database's default schema, in a transaction there that this begins unless it is open:
   * the channel's next statement ends it, by its own COMMIT or because ROLLBACK follows.
   */
  upload(table: string, query: string): Promise<DuckDBResultReader>
}

/** On an instance of this process. */
export function createLocalChannel(connection: DuckDBConnection, options: { tellsProgress: boolean }): Channel {
  return {
    query: (sql, values) => connection.runAndReadAll(sql, bindable(values)),
    local: null,
    interrupt: () => connection.interrupt(),
    ...(options.tellsProgress ? { progress: { prefix: `${PROGRESS_ON}; `, read: () => progressOf(connection) } } : {}),
    close: async () => connection.disconnectSync(),
  }
}

/**
 * DuckDB counts for its progress bar alone, and has a bar once it has a time to show it at. This one never comes: nothing is to be
 * printed. The bar costs nothing that can be measured; a statement of its own would cost a third of a connection.
 */
export const PROGRESS_ON = 'SET SESSION progress_bar_time = 2147483647'

function progressOf(connection: DuckDBConnection): StatementProgress | null {
  const { percentage, rows_processed: rows } = connection.progress
  return percentage < 0 ? null : { rows: Number(rows), percent: Math.min(100, Math.floor(percentage)) }
}

function bindable(values: SqlValues | undefined): SqlValue[] | Record<string, SqlValue> | undefined {
  if (values === undefined) return undefined
  const copy = isList(values) ? [...values] : { ...values }
  return Object.keys(copy).length === 0 ? undefined : copy
}

function isList(values: SqlValues): values is readonly SqlValue[] {
  return Array.isArray(values)
}
