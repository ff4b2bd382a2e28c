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
  /** Nothing runs on it any more. Never throws. */
  close(): Promise<void>
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
export function createLocalChannel(connection: DuckDBConnection): Channel {
  return {
    query: (sql, values) => connection.runAndReadAll(sql, bindable(values)),
    local: null,
    interrupt: () => connection.interrupt(),
    close: async () => connection.disconnectSync(),
  }
}

function bindable(values: SqlValues | undefined): SqlValue[] | Record<string, SqlValue> | undefined {
  if (values === undefined) return undefined
  const copy = isList(values) ? [...values] : { ...values }
  return Object.keys(copy).length === 0 ? undefined : copy
}

function isList(values: SqlValues): values is readonly SqlValue[] {
  return Array.isArray(values)
}
