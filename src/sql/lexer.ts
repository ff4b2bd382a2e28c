/**
 * SQL text → tokens with places, in DuckDB's lexical rules. Every character of the text is in a token or is white space,
 * so text can be cut and spliced by token without touching the rest. Pure.
 */

export type TokenType =
  | 'word' // identifier or keyword, unquoted
  | 'quoted' // "identifier"
  | 'string' // 'text', E'text', $$text$$
  | 'number'
  | 'macro' // @name
  | 'parameter' // $1, $name
  | 'operator' // one or several symbol characters, brackets, comma, semicolon
  | 'comment' // -- … or /* … */
  | 'jinja' // JINJA_…_BEGIN; … JINJA_END, whole

export interface Token {
  type: TokenType
  /** As written. */
  text: string
  /** What it means: quotes and escapes resolved, words as written, macros without `@`. */
  value: string
  /** Offsets in UTF-16 code units. */
  start: number
  end: number
  /** From 1. */
  line: number
  column: number
}

export class LexerError extends Error {
  readonly line: number
  readonly column: number
  constructor(message: string, line: number, column: number) {
    super(message)
    this.name = 'LexerError'
    this.line = line
    this.column = column
  }
}

const OPERATORS = [
  '->>',
  '!~~',
  '<=>',
  '::',
  ':=',
  '->',
  '=>',
  '<=',
  '>=',
  '<>',
  '!=',
  '==',
  '||',
  '**',
  '//',
  '<<',
  '>>',
  '&&',
  '^@',
  '~~',
  '!~',
  '@>',
  '<@',
  '@{',
]
const WORD_START = /[\p{L}_]/u
const WORD = /[\p{L}\p{N}_$]/u
const NUMBER = /(?:0[xX][0-9a-fA-F_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?)/y
const DOLLAR_TAG = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy
const PARAMETER = /\$[\p{L}\p{N}_]+/uy
const JINJA = /JINJA_(?:QUERY|STATEMENT)_BEGIN\s*;[\s\S]*?JINJA_END\b/iy

/** @throws LexerError for a string, identifier, comment or Jinja block that does not end. */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = []
  let position = 0
  let line = 1
  let lineStart = 0

  function push(type: TokenType, end: number, value?: string): void {
    const text = sql.slice(position, end)
    tokens.push({ type, text, value: value ?? text, start: position, end, line, column: position - lineStart + 1 })
    advance(end)
  }
  function advance(end: number): void {
    for (let next = sql.indexOf('\n', position); next !== -1 && next < end; next = sql.indexOf('\n', next + 1)) {
      line += 1
      lineStart = next + 1
    }
    position = end
  }
  function unended(what: string): never {
    throw new LexerError(`${what} that starts here does not end`, line, position - lineStart + 1)
  }
  /** The end of text in `quote`s where a doubled quote stands for one. */
  function quotedEnd(from: number, quote: string, backslash: boolean): number {
    for (let at = from; at < sql.length; at++) {
      if (backslash && sql[at] === '\\') at += 1
      else if (sql[at] === quote) {
        if (sql[at + 1] !== quote) return at + 1
        at += 1
      }
    }
    return unended(quote === '"' ? 'a quoted identifier' : 'a string')
  }
  function match(pattern: RegExp): string | null {
    pattern.lastIndex = position
    return pattern.exec(sql)?.[0] ?? null
  }

  while (position < sql.length) {
    const char = sql.charAt(position)
    const next = sql.charAt(position + 1)
    if (/\s|\uFEFF/.test(char)) advance(position + 1)
    else if (char === '-' && next === '-') {
      const end = sql.indexOf('\n', position)
      push('comment', end === -1 ? sql.length : end)
    } else if (char === '/' && next === '*') push('comment', blockCommentEnd(sql, position) ?? unended('a comment'))
    else if (char === "'") {
      const end = quotedEnd(position + 1, "'", false)
      push('string', end, sql.slice(position + 1, end - 1).replaceAll("''", "'"))
    } else if ((char === 'e' || char === 'E') && next === "'") {
      const end = quotedEnd(position + 2, "'", true)
      push('string', end, unescape(sql.slice(position + 2, end - 1)))
    } else if (char === '"') {
      const end = quotedEnd(position + 1, '"', false)
      push('quoted', end, sql.slice(position + 1, end - 1).replaceAll('""', '"'))
    } else if (char === '$') {
      const tag = match(DOLLAR_TAG)
      if (tag !== null) {
        const close = sql.indexOf(tag, position + tag.length)
        if (close === -1) unended('a dollar-quoted string')
        push('string', close + tag.length, sql.slice(position + tag.length, close))
      } else {
        const parameter = match(PARAMETER)
        push(parameter === null ? 'operator' : 'parameter', position + (parameter ?? '$').length)
      }
    } else if (/\d/.test(char) || (char === '.' && /\d/.test(next))) {
      push('number', position + (match(NUMBER) ?? char).length)
    } else if (char === '@' && WORD_START.test(next)) {
      const end = wordEnd(sql, position + 1)
      push('macro', end, sql.slice(position + 1, end))
    } else if (WORD_START.test(char)) {
      const jinja = char === 'J' || char === 'j' ? match(JINJA) : null
      if (jinja !== null) push('jinja', position + jinja.length)
      else {
        const end = wordEnd(sql, position)
        if (/^JINJA_(QUERY|STATEMENT)_BEGIN$/i.test(sql.slice(position, end))) unended('a Jinja block')
        push('word', end)
      }
    } else {
      const operator = OPERATORS.find((candidate) => sql.startsWith(candidate, position))
      push('operator', position + (operator ?? char).length)
    }
  }
  return tokens
}

/** Whether `token` is the unquoted word or the operator `text`, case ignored. */
export function isToken(token: Token | undefined, text: string): boolean {
  if (token === undefined || (token.type !== 'word' && token.type !== 'operator')) return false
  return token.text.toUpperCase() === text.toUpperCase()
}

function wordEnd(sql: string, from: number): number {
  let end = from
  while (end < sql.length && WORD.test(sql.charAt(end))) end += 1
  return end
}

/** Block comments nest, as in PostgreSQL; null when this one does not end. */
function blockCommentEnd(sql: string, from: number): number | null {
  let depth = 0
  for (let at = from; at < sql.length; at++) {
    if (sql.startsWith('/*', at)) [depth, at] = [depth + 1, at + 1]
    else if (sql.startsWith('*/', at)) {
      depth -= 1
      at += 1
      if (depth === 0) return at + 1
    }
  }
  return null
}

function unescape(text: string): string {
  const named: Record<string, string> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' }
  return text.replaceAll("''", "'").replace(/\\(.)/gs, (_, char: string) => named[char] ?? char)
}
