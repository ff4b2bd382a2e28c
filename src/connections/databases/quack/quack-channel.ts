/**
 * A session on a Quack server: every statement goes to it as text, through a function that runs the text there. Statements over the
 * attached name itself would run here, row by row, and their BEGIN would be none.
 */
import type { DuckDBConnection, DuckDBResultReader } from '@duckdb/node-api'
import { quoteIdentifier } from '../../../sql/identifiers.ts'
import type { Channel, SqlValues } from '../../channel.ts'
import { isNoStatement, toServerError, type SentText } from './quack-errors.ts'
import { toSqlLiteral } from './sql-literal.ts'

export interface QuackSession {
  /** Of an instance of this process, used by nobody else. */
  connection: DuckDBConnection
  /** The name that the server is attached under, for this session alone. */
  alias: string
  /** The server's name, for messages. */
  server: string
}

/** A statement that runs there cannot be ended from here, and the server forgets nothing of a session until it is detached. */
export function createQuackChannel(session: QuackSession): Channel {
  const { connection, alias } = session
  /** Rows of a second upload under one name would be lost without an error: DuckDB keeps what it knows of the first one's table. */
  const uploaded = new Set<string>()
  /** A transaction was begun by uploads, on both sides; this one's does not notice how the other one ends. */
  let uploading = false

  async function run(sql: string): Promise<DuckDBResultReader> {
    try {
      return await connection.runAndReadAll(sql)
    } catch (error) {
      throw toServerError(error, session.server, { sql: '', offset: 0 })
    }
  }

  /** @throws when the server's transaction has ended already. */
  async function endUpload(): Promise<DuckDBResultReader> {
    uploading = false
    return run('ROLLBACK')
  }

  return {
    query: async (sql, values) => {
      if (!uploading) return queryServer(session, sql, values)
      if (sql === 'ROLLBACK') return endUpload()
      const reader = await queryServer(session, sql, values)
      await endUpload().catch(() => undefined)
      return reader
    },
    local: {
      query: (sql) => run(`SET SESSION timezone = 'UTC'; ${sql}`),
      upload: async (table, query) => {
        if (uploaded.has(table))
          throw new Error(`expected a new name for each upload of a session; got '${table}' again`)
        uploaded.add(table)
        if (!uploading) await run(`SET SESSION timezone = 'UTC'; BEGIN`)
        uploading = true
        try {
          return await run(`CREATE TABLE ${quoteIdentifier(alias)}.main.${quoteIdentifier(table)} AS ${query}`)
        } catch (error) {
          await endUpload().catch(() => undefined)
          throw error
        }
      },
    },
    interrupt: null,
    close: async () => {
      // Rolls back what is open. A server that is gone has done so.
      await connection.run(`DETACH ${quoteIdentifier(alias)}`).catch(() => undefined)
      connection.disconnectSync()
    },
  }
}

/** @throws what the server says, as DuckDB would; ConnectionLost when it cannot be reached: whether the text ran is not known then. */
export async function queryServer(
  { connection, alias, server }: QuackSession,
  sql: string,
  values?: SqlValues,
): Promise<DuckDBResultReader> {
  const { text, ...sent } = withValues(sql, values)
  try {
    return await connection.runAndReadAll('FROM quack_query_by_name($1, $2)', [alias, text])
  } catch (error) {
    if (isNoStatement(error)) return connection.runAndReadAll('')
    throw toServerError(error, server, sent)
  }
}

/** Preparing under a name again replaces what it meant. */
const PREPARE = 'PREPARE millrace_statement AS '

/** Comes with a transaction's first statement, and is no part of it. */
const BEGIN = /^BEGIN;\s+/

function withValues(sql: string, values: SqlValues | undefined): SentText & { text: string } {
  const given = values === undefined ? [] : Object.entries(values)
  if (given.length === 0) {
    const [begin = ''] = BEGIN.exec(sql) ?? []
    return { text: sql, sql: sql.slice(begin.length), offset: begin.length }
  }
  const literals = given.map(([name, value]) => {
    return Array.isArray(values) ? toSqlLiteral(value) : `${quoteIdentifier(name)} := ${toSqlLiteral(value)}`
  })
  // On a line of its own: the statement may end in a comment.
  const text = `${PREPARE}${sql}\n;EXECUTE millrace_statement(${literals.join(', ')})`
  return { text, sql, offset: Buffer.byteLength(PREPARE) }
}
