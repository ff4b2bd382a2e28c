/**
 * SQL text → DuckDB's own syntax tree. The parser is an in-memory DuckDB that never holds data.
 */
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { isToken, tokenize, type Token } from '../sql/lexer.ts'
import { findReferences, type QueryReferences, type TreeNode } from '../sql/references.ts'

/** What is wrong with a text, in DuckDB's words; line and column count from 1 and are null where DuckDB names no place. */
export interface SyntaxProblem {
  message: string
  line: number | null
  column: number | null
}

export type ParsedQuery = { references: QueryReferences } | { problem: SyntaxProblem }

export interface SqlParser {
  /** Parses queries in one round trip; the result keeps their order. */
  parse(queries: readonly string[]): Promise<ParsedQuery[]>
  /** Rows of a statement that reads no data, values as JSON. @throws what DuckDB says; after ten seconds it is interrupted. */
  rows(sql: string): Promise<unknown[][]>
  close(): Promise<void>
}

/**
 * Parsed queries by their text, for all parsers of the process: a command loads the project that its worker then plans,
 * and a step's query is often the very text that was parsed for the plan.
 */
const cache = new Map<string, ParsedQuery>()
/** Two projects of the largest size. */
const CACHE_SIZE = 25_000
const MAX_STATEMENT_MS = 10_000

export function createSqlParser(): SqlParser {
  let opening: Promise<Opened> | null = null

  function open(): Promise<Opened> {
    opening ??= openParser().catch((error: unknown) => {
      opening = null
      throw error
    })
    return opening
  }
  async function serialize(queries: readonly string[]): Promise<SerializedQuery[]> {
    const { connection } = await open()
    const reader = await connection.runAndReadAll(
      'SELECT json_serialize_sql(query, skip_null := true, skip_empty := true, skip_default := true) FROM (SELECT unnest(from_json($queries, \'["VARCHAR"]\')) AS query)',
      { queries: JSON.stringify(queries) },
    )
    return reader.getRows().map((row) => JSON.parse(String(row[0])) as SerializedQuery)
  }

  return {
    async parse(queries) {
      const parsed = new Map<string, ParsedQuery>()
      const unknown: string[] = []
      for (const query of new Set(queries)) {
        const known = cache.get(query)
        if (known === undefined) unknown.push(query)
        else parsed.set(query, known)
      }
      const trees = unknown.length === 0 ? [] : await serialize(unknown)
      const pivots: string[] = []
      unknown.forEach((query, index) => {
        const tree = trees[index]
        if (tree === undefined) throw new Error('the SQL parser lost a query')
        // DuckDB does not serialize a PIVOT whose columns come from the data.
        if (tree.error && tree.error_type === 'not implemented') pivots.push(query)
        else parsed.set(query, toParsedQuery(query, tree))
      })
      for (const query of pivots) {
        const { text, unshift } = withFixedPivots(query)
        const [tree] = await serialize([text])
        if (tree !== undefined) parsed.set(query, unshiftReferences(toParsedQuery(text, tree), unshift))
      }
      if (cache.size + unknown.length > CACHE_SIZE) cache.clear()
      for (const [query, result] of parsed) cache.set(query, result)
      return queries.map((query) => parsed.get(query) ?? { problem: noPlace('cannot be parsed') })
    },
    async rows(sql) {
      const { connection } = await open()
      const timer = setTimeout(() => connection.interrupt(), MAX_STATEMENT_MS)
      try {
        return (await connection.runAndReadAll(sql)).getRowsJson()
      } finally {
        clearTimeout(timer)
      }
    },
    async close() {
      const opened = opening
      opening = null
      if (opened === null) return
      const { instance, connection } = await opened
      connection.closeSync()
      instance.closeSync()
    },
  }
}

interface Opened {
  instance: DuckDBInstance
  connection: DuckDBConnection
}

interface SerializedQuery {
  error: boolean
  error_type?: string
  error_message?: string
  position?: string
  statements?: TreeNode[]
}

async function openParser(): Promise<Opened> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  return { instance, connection: await instance.connect() }
}

function toParsedQuery(query: string, tree: SerializedQuery): ParsedQuery {
  if (!tree.error) return { references: findReferences(query, { statements: tree.statements ?? [] }) }
  const message = tree.error_message ?? 'cannot be parsed'
  if (tree.position === undefined) return { problem: noPlace(message) }
  const before = Buffer.from(query).subarray(0, Number(tree.position)).toString()
  return {
    problem: { message, line: before.split('\n').length, column: before.length - before.lastIndexOf('\n') },
  }
}

function noPlace(message: string): SyntaxProblem {
  return { message, line: null, column: null }
}

interface FixedPivots {
  text: string
  /** An offset of `text` → the offset of the query it was made from. */
  unshift: (offset: number) => number
}

const PIVOT_ON_ENDS = ['USING', 'GROUP', 'ORDER', 'LIMIT', ')', ';']

/** The query with `IN (0)` behind every PIVOT column that has no list: the tables it reads are the same, and DuckDB serializes it. */
function withFixedPivots(query: string): FixedPivots {
  const insertion = ' IN (0)'
  const tokens = tokenize(query).filter((token) => token.type !== 'comment')
  const places = tokens.flatMap((token, index) => (isToken(token, 'PIVOT') ? pivotColumnEnds(tokens, index) : []))
  let text = ''
  let position = 0
  for (const place of places) {
    text += query.slice(position, place) + insertion
    position = place
  }
  text += query.slice(position)
  return {
    text,
    unshift: (offset) =>
      places.reduce(
        (shifted, place) => (shifted > place ? Math.max(place, shifted - insertion.length) : shifted),
        offset,
      ),
  }
}

/** Offsets behind the columns of `PIVOT … ON column, column USING …` that have no `IN` list. */
function pivotColumnEnds(tokens: readonly Token[], pivot: number): number[] {
  const ends: number[] = []
  let depth = 0
  let inColumns = false
  let hasList = false
  for (let index = pivot + 1; index <= tokens.length; index++) {
    const token = tokens[index]
    const closes = depth === 0 && (token === undefined || PIVOT_ON_ENDS.some((end) => isToken(token, end)))
    if (closes || (depth === 0 && inColumns && isToken(token, ','))) {
      if (inColumns && !hasList) ends.push(tokens[index - 1]?.end ?? 0)
      if (closes) return ends
      hasList = false
    } else if (isToken(token, '(')) depth += 1
    else if (isToken(token, ')')) depth -= 1
    else if (depth === 0 && isToken(token, 'ON')) inColumns = true
    else if (depth === 0 && isToken(token, 'IN')) hasList = true
  }
  return ends
}

function unshiftReferences(parsed: ParsedQuery, unshift: (offset: number) => number): ParsedQuery {
  if ('problem' in parsed) return parsed
  const move = <T extends { start: number; end: number }>(place: T): T => ({
    ...place,
    start: unshift(place.start),
    end: unshift(place.end),
  })
  const { tables, columns, paths } = parsed.references
  return { references: { tables: tables.map(move), columns: columns.map(move), paths: paths.map(move) } }
}
