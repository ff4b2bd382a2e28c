/** Splits a file into statements. `;` inside strings, comments, dollar quotes, brackets and Jinja blocks never splits. */
import { isToken, type Token } from '../../sql/lexer.ts'
import type { SqlText } from '../model.ts'
import { depthChange } from './brackets.ts'
import { tokenizeSource, type HeaderSource } from './header-source.ts'

export interface Statement {
  /** Without comments and without the semicolon; never empty. */
  tokens: Token[]
  first: Token
  /** With the comments before, in and after it. */
  allTokens: readonly Token[]
  /** As written, comments included, with the line it starts at; a Jinja block begins with its marker and ends with `JINJA_END;`. */
  sql: SqlText
  /** A `;` ends it. */
  terminated: boolean
  /** Offset of the first character after it and its comments, before the semicolon. */
  end: number
}

/** @throws MillraceError SQL_SYNTAX for text that does not end. */
export function splitStatements(source: Pick<HeaderSource, 'text' | 'place'>): Statement[] {
  const statements: Statement[] = []
  let current: Token[] = []
  let depth = 0

  function finish(terminated: boolean): void {
    const statement = toStatement(source.text, current, terminated)
    if (statement !== null) statements.push(statement)
    current = []
    depth = 0
  }
  for (const token of tokenizeSource(source)) {
    if (token.type === 'jinja' && depth === 0) {
      finish(false)
      current.push(token)
      finish(false)
      continue
    }
    if (depth === 0 && isToken(token, ';')) {
      const last = statements.at(-1)
      // The semicolon after JINJA_END belongs to the block, which is finished already.
      if (last?.first.type === 'jinja' && current.every(({ type }) => type === 'comment')) last.terminated = true
      finish(true)
      continue
    }
    depth = Math.max(0, depth + depthChange(token))
    current.push(token)
  }
  finish(false)
  return statements
}

/** Whether the statement is a block `WORD (…)`. */
export function isBlock(statement: Statement | undefined, word: string): boolean {
  return isToken(statement?.tokens[0], word) && isToken(statement?.tokens[1], '(')
}

/** Whether the statement is nothing but the word. */
export function isWord(statement: Statement, word: string): boolean {
  return statement.tokens.length === 1 && isToken(statement.first, word)
}

function toStatement(text: string, all: readonly Token[], terminated: boolean): Statement | null {
  const tokens = all.filter(({ type }) => type !== 'comment')
  const [first] = tokens
  const [start] = all
  const end = all.at(-1)
  if (first === undefined || start === undefined || end === undefined) return null
  const sql =
    first.type === 'jinja'
      ? { text: `${first.text};`, line: first.line }
      : { text: text.slice(start.start, end.end), line: start.line }
  return { tokens, first, allTokens: all, sql, terminated, end: end.end }
}
