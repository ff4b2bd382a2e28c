/** The common table expressions of a query, found in its text; and whether a query orders its rows. Pure. */
import { quoteIdentifier } from './identifiers.ts'
import { isToken, tokenize, type Token } from './lexer.ts'

export interface CommonTable {
  /** As written, quotes aside. */
  name: string
  /** Its query, without the brackets around it. */
  query: string
}

interface WithClause {
  tables: CommonTable[]
  /** The text from the query's start to the last expression's end. */
  text: string
}

/** Those of the outermost WITH, in their order. */
export function commonTables(sql: string): CommonTable[] {
  return readWith(sql).tables
}

/** A query for the rows of one of them: it sees the others as in the query itself. */
export function commonTableQuery(sql: string, name: string): string {
  return `${readWith(sql).text}\nSELECT * FROM ${quoteIdentifier(name)}`
}

/** Whether the query itself says in which order its rows come; an ORDER BY in brackets does not count. */
export function isOrdered(sql: string): boolean {
  let depth = 0
  const tokens = code(sql)
  return tokens.some((token, index) => {
    if (isToken(token, '(')) depth += 1
    else if (isToken(token, ')')) depth -= 1
    return depth === 0 && isToken(token, 'ORDER') && isToken(tokens[index + 1], 'BY')
  })
}

function readWith(sql: string): WithClause {
  const tokens = code(sql)
  const tables: CommonTable[] = []
  if (!isToken(tokens[0], 'WITH')) return { tables, text: '' }
  let at = isToken(tokens[1], 'RECURSIVE') ? 2 : 1
  for (;;) {
    const name = tokens[at]
    const open = openingBracket(tokens, at + 1)
    const [first, last] = [tokens[open], tokens[closingBracket(tokens, open)]]
    if (name === undefined || first === undefined || last === undefined) return { tables, text: sql }
    tables.push({ name: name.value, query: sql.slice(first.end, last.start) })
    at = closingBracket(tokens, open) + 1
    if (!isToken(tokens[at], ',')) return { tables, text: sql.slice(0, last.end) }
    at += 1
  }
}

/** Of the query: behind `AS [NOT] [MATERIALIZED]`, past a list of columns. */
function openingBracket(tokens: readonly Token[], from: number): number {
  let at = from
  while (at < tokens.length && !isToken(tokens[at], 'AS'))
    at = isToken(tokens[at], '(') ? closingBracket(tokens, at) + 1 : at + 1
  while (at < tokens.length && !isToken(tokens[at], '(')) at += 1
  return at
}

function closingBracket(tokens: readonly Token[], open: number): number {
  let depth = 0
  for (let at = open; at < tokens.length; at++) {
    if (isToken(tokens[at], '(')) depth += 1
    else if (isToken(tokens[at], ')')) depth -= 1
    if (depth === 0) return at
  }
  return tokens.length
}

function code(sql: string): Token[] {
  return tokenize(sql).filter((token) => token.type !== 'comment')
}
