/**
 * SQL text → the macros in it and the text between them. A macro is
 * - a variable: `@name`, in a name too: `col_@{name}`, `@{name}_x`, `"a@{name}"`, `@'text with @name'`
 * - a call: `@NAME(argument, …)`
 * What is no macro stays exactly as written, comments and plain strings included. Pure.
 */
import { MillraceError } from '../errors.ts'
import { isToken, LexerError, tokenize } from './lexer.ts'
import type { Token } from './lexer.ts'
import { isMacroFunction } from './macro-names.ts'
import { RESERVED_WORDS } from './reserved-words.ts'

/** Where a text starts in the project's files; lines count from 1. */
export interface TextPlace {
  file: string
  line: number
}

/** Text, or a variable in it. A `loose` one stays as `written` when there is no such variable: "me@home". */
export type TemplatePiece = string | { variable: string; written: string; loose: boolean }

/** What the grammar expects where a variable stands: `name` after `AS` and beside a dot, `list` after `IN`. */
export type MacroPosition = 'value' | 'name' | 'list'

export interface MacroArgument {
  /** Lower case; null for a positional argument. */
  name: string | null
  /** As written. */
  text: string
  parts: MacroPart[]
}

export type MacroPart =
  | { type: 'text'; text: string }
  | { type: 'variable'; name: string; position: MacroPosition; line: number }
  /** `quote`: how the result is written; null is an unquoted name. */
  | { type: 'template'; pieces: TemplatePiece[]; quote: '"' | "'" | null; line: number }
  | { type: 'call'; name: string; args: MacroArgument[]; position: MacroPosition; line: number }
  | { type: 'jinja'; line: number }

/** Names of variables are lower case in the result, `line` counts in the file of `place`. @throws MillraceError SQL_SYNTAX, MACRO */
export function parseMacros(text: string, place: TextPlace | null): MacroPart[] {
  const tokens = tokenizeAt(text, place).filter((token) => token.type !== 'comment')
  return parseRange({ text, tokens, place }, { first: 0, last: tokens.length, start: 0, end: text.length })
}

/** `line` counts in the file of `place`. */
interface Where {
  place: TextPlace | null
  line: number
}

export function macroError(message: string, where: Where, hint?: string): MillraceError {
  return new MillraceError('MACRO', message, { ...toLocation(where), ...(hint === undefined ? {} : { hint }) })
}

export function notYetError(message: string, where: Where): MillraceError {
  return new MillraceError('NOT_YET', message, toLocation(where))
}

interface Source {
  text: string
  /** Without comments. */
  tokens: Token[]
  place: TextPlace | null
}

/** Tokens `first` … `last` (exclusive) of the text from `start` to `end`. */
interface Range {
  first: number
  last: number
  start: number
  end: number
}

/** A macro that ends at offset `end`; `next` is the first token after it. */
interface Found {
  part: MacroPart
  end: number
  next: number
}

function toLocation({ place, line }: Where): { file?: string; line: number } {
  return place === null ? { line } : { file: place.file, line }
}

function tokenizeAt(text: string, place: TextPlace | null): Token[] {
  try {
    return tokenize(text)
  } catch (error) {
    if (!(error instanceof LexerError)) throw error
    const location = toLocation({ place, line: lineOf(error, place) })
    throw new MillraceError('SQL_SYNTAX', error.message, { ...location, cause: error })
  }
}

function parseRange(source: Source, range: Range): MacroPart[] {
  const parts: MacroPart[] = []
  let cursor = range.start
  let index = range.first
  while (index < range.last) {
    const found = macroAt(source, index)
    if (found === null) {
      index += 1
      continue
    }
    const start = source.tokens[index]?.start ?? range.end
    if (start > cursor) parts.push({ type: 'text', text: source.text.slice(cursor, start) })
    parts.push(found.part)
    cursor = found.end
    index = found.next
  }
  if (cursor < range.end) parts.push({ type: 'text', text: source.text.slice(cursor, range.end) })
  return parts
}

function macroAt(source: Source, index: number): Found | null {
  const token = source.tokens[index]
  const next = source.tokens[index + 1]
  if (token === undefined) return null
  const line = lineOf(token, source.place)
  const adjacent = next !== undefined && next.start === token.end ? next : undefined
  const continues = adjacent?.type === 'macro' || isToken(adjacent, '@{')

  if (token.type === 'jinja') return { part: { type: 'jinja', line }, end: token.end, next: index + 1 }
  if (token.type === 'quoted' || (token.type === 'string' && isFileName(source.tokens, index))) {
    if (!token.value.includes('@')) return null
    const quote = token.type === 'quoted' ? '"' : "'"
    return { part: { type: 'template', pieces: toPieces(token.value), quote, line }, end: token.end, next: index + 1 }
  }
  if (isToken(token, '@')) {
    if (adjacent?.type !== 'string' && adjacent?.type !== 'quoted') {
      throw macroError(
        "Expected a name after '@'",
        { place: source.place, line },
        'For the absolute value write abs(…)',
      )
    }
    const pieces = toPieces(adjacent.value)
    return { part: { type: 'template', pieces, quote: "'", line }, end: adjacent.end, next: index + 2 }
  }
  if (isToken(token, '@{')) return nameAt(source, index)
  if (token.type === 'word')
    return continues && !RESERVED_WORDS.has(token.text.toLowerCase()) ? nameAt(source, index) : null
  if (token.type !== 'macro') return null
  if (continues) return nameAt(source, index)
  const name = token.value.toLowerCase()
  // `INSERT INTO @this_model (a, b)` is no call.
  if (isToken(next, '(') && (adjacent !== undefined || isMacroFunction(name))) return callAt(source, index)
  const part: MacroPart = { type: 'variable', name, position: positionOf(source.tokens, index, index + 1), line }
  return { part, end: token.end, next: index + 1 }
}

/** Whether a string is a relation: `FROM 'x.parquet'`, but not `IS DISTINCT FROM 'x'`. */
function isFileName(tokens: Token[], index: number): boolean {
  const previous = tokens[index - 1]
  return isToken(previous, 'JOIN') || (isToken(previous, 'FROM') && !isToken(tokens[index - 2], 'DISTINCT'))
}

/** What is expected between the tokens before `first` and from `next` on. */
function positionOf(tokens: Token[], first: number, next: number): MacroPosition {
  const previous = tokens[first - 1]
  if (isToken(previous, 'IN')) return 'list'
  if (isToken(previous, 'AS') || isToken(previous, '.') || isToken(tokens[next], '.')) return 'name'
  // A common table expression: WITH @name AS (…).
  return isToken(tokens[next], 'AS') && isToken(tokens[next + 1], '(') ? 'name' : 'value'
}

const VARIABLE = /@@|@\{\s*([\p{L}_][\p{L}\p{N}_]*)\s*\}|@([\p{L}_][\p{L}\p{N}_]*)/gu

/** `@@` stands for `@`. */
function toPieces(text: string): TemplatePiece[] {
  const pieces: TemplatePiece[] = []
  let cursor = 0
  for (const match of text.matchAll(VARIABLE)) {
    const [written, braced, bare] = match
    if (match.index > cursor) pieces.push(text.slice(cursor, match.index))
    const name = braced ?? bare
    if (name === undefined) pieces.push('@')
    else pieces.push({ variable: name.toLowerCase(), written, loose: braced === undefined })
    cursor = match.index + written.length
  }
  if (cursor < text.length) pieces.push(text.slice(cursor))
  return pieces
}

const NAME_PIECE = /@\{\s*([\p{L}_][\p{L}\p{N}_]*)\s*\}|@([\p{L}_][\p{L}\p{N}_$]*)|[\p{L}\p{N}_$]+/uy

/** An unquoted name with variables in it. Read from the text: `@{v}1.x` has the number token `1.`. */
function nameAt(source: Source, index: number): Found {
  const token = source.tokens[index]
  const pieces: TemplatePiece[] = []
  const line = token === undefined ? 1 : lineOf(token, source.place)
  let end = token?.start ?? 0
  for (;;) {
    NAME_PIECE.lastIndex = end
    const match = NAME_PIECE.exec(source.text)
    if (match === null) break
    const name = match[1] ?? match[2]
    pieces.push(name === undefined ? match[0] : { variable: name.toLowerCase(), written: match[0], loose: false })
    end += match[0].length
  }
  if (source.text.startsWith('@{', end)) {
    throw macroError("Expected a variable's name and } after @{", { place: source.place, line })
  }
  let next = index
  while ((source.tokens[next]?.start ?? Infinity) < end) next += 1
  return { part: { type: 'template', pieces, quote: null, line }, end, next }
}

function callAt(source: Source, index: number): Found {
  const { tokens, place } = source
  const macro = tokens[index]
  const name = macro?.value.toLowerCase() ?? ''
  const line = macro === undefined ? 1 : lineOf(macro, place)
  const args: MacroArgument[] = []
  let depth = 0
  let first = index + 2
  for (let at = index + 1; at < tokens.length; at++) {
    const token = tokens[at]
    if (token?.type !== 'operator') continue
    if (['(', '[', '{', '@{'].includes(token.text)) depth += 1
    else if ([')', ']', '}'].includes(token.text)) depth -= 1
    if (depth === 0 || (depth === 1 && token.text === ',')) {
      if (at > first) args.push(argumentOf(source, first, at))
      first = at + 1
    }
    if (depth === 0) {
      const part: MacroPart = { type: 'call', name, args, position: positionOf(tokens, index, at + 1), line }
      return { part, end: token.end, next: at + 1 }
    }
  }
  throw macroError(`Expected ')' at the end of @${macro?.value ?? ''}(…)`, { place, line })
}

/** The argument of tokens `from` … `to` (exclusive): `value` or `name := value`. */
function argumentOf(source: Source, from: number, to: number): MacroArgument {
  const named = source.tokens[from]?.type === 'word' && isToken(source.tokens[from + 1], ':=') && to > from + 2
  const first = named ? from + 2 : from
  const start = source.tokens[first]?.start ?? 0
  const end = source.tokens[to - 1]?.end ?? start
  return {
    name: named ? (source.tokens[from]?.text.toLowerCase() ?? null) : null,
    text: source.text.slice(start, end),
    parts: parseRange(source, { first, last: to, start, end }),
  }
}

function lineOf(token: { line: number }, place: TextPlace | null): number {
  return (place?.line ?? 1) + token.line - 1
}
