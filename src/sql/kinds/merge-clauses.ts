/** `when_matched` and `merge_filter` as written in a header → as the statement that merges has them. Pure. */
import { quoteIdentifier } from '../identifiers.ts'
import { tokenize, type Token } from '../lexer.ts'

export const MERGE_TARGET = 'target'
export const MERGE_SOURCE = 'source'

/** The name of a column of the batch: one that no expression over the table can mean. */
export function sourceColumn(name: string): string {
  return quoteIdentifier(`source ${name}`)
}

/**
 * Columns of `source` get their names in the batch; the left side of `SET target.a = …`, which DuckDB wants bare, loses its table.
 * Brackets around the whole are taken off.
 */
export function renameMergeColumns(written: string): string {
  const tokens = withoutBrackets(tokenize(written).filter(({ type }) => type !== 'comment'))
  const parts: string[] = []
  let depth = 0
  let assigns = false
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]
    if (token === undefined) break
    depth += depthChange(token)
    const table = tokens[at - 1]?.text === '.' ? null : mergeTable(token)
    const column = tokens[at + 2]
    if (table !== null && tokens[at + 1]?.text === '.' && column !== undefined) {
      const bare = assigns && depth === 0 && startsAssignment(tokens[at - 1])
      if (table === MERGE_SOURCE) parts.push(`${MERGE_SOURCE}.${sourceColumn(column.value)}`)
      else parts.push(bare ? quoteIdentifier(column.value) : `${MERGE_TARGET}.${quoteIdentifier(column.value)}`)
      at += 2
      continue
    }
    if (depth === 0 && isWord(token, 'SET')) assigns = true
    if (depth === 0 && isWord(token, 'WHEN')) assigns = false
    parts.push(token.text)
  }
  return parts.join(' ')
}

/** The table that the name of one stands for; SQLMesh has names of its own for both. */
function mergeTable({ type, value }: Token): string | null {
  if (type !== 'word' && type !== 'quoted') return null
  const name = value.toLowerCase()
  if (name === MERGE_SOURCE || name === '__merge_source__') return MERGE_SOURCE
  return name === MERGE_TARGET || name === '__merge_target__' ? MERGE_TARGET : null
}

function startsAssignment(before: Token | undefined): boolean {
  return before !== undefined && (before.text === ',' || isWord(before, 'SET'))
}

function isWord({ type, text }: Token, word: string): boolean {
  return type === 'word' && text.toUpperCase() === word
}

/** Commas and WHENs of brackets and of CASE … END are their own. */
function depthChange(token: Token): number {
  const { type, text } = token
  if (isWord(token, 'CASE')) return 1
  if (isWord(token, 'END')) return -1
  if (type !== 'operator') return 0
  return text === '(' || text === '[' ? 1 : text === ')' || text === ']' ? -1 : 0
}

function withoutBrackets(tokens: Token[]): Token[] {
  const [open] = tokens
  if (open?.text !== '(') return tokens
  let depth = 0
  const end = tokens.findIndex((token) => {
    depth += depthChange(token)
    return depth === 0
  })
  return end === tokens.length - 1 ? tokens.slice(1, -1) : tokens
}
