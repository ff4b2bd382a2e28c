/**
 * SQL text → the macros in it and the text between them. A macro is
 * - a variable: `@name`, in a name too: `col_@{name}`, `@{name}_x`, `"a@{name}"`, `@'text with @name'`
 * - a call: `@NAME(argument, …)`, where an argument may be `name := value` or a lambda `x -> …`
 * - a clause that is kept or dropped: `@WHERE(condition) a > 1`
 * What is no macro stays exactly as written, comments and plain strings included. Pure.
 */
import { MillraceError } from '../errors.ts'
import { isToken, LexerError, tokenize } from './lexer.ts'
import type { Token } from './lexer.ts'
import { CLAUSE_KEYWORDS, clauseEnd, isClauseMacro, joinMacroAfter } from './macro-clauses.ts'
import { isMacroFunction, takesLambda } from './macro-names.ts'
import { macroError, toLocation } from './macro-parts.ts'
import type { Lambda, MacroArgument, MacroPart, MacroPosition, Position, TextPlace } from './macro-parts.ts'
import { readName, toPieces } from './macro-templates.ts'
import { RESERVED_WORDS } from './reserved-words.ts'

/** Calls within calls; more are no program but a mistake. */
const MAX_DEPTH = 100

/** Names of variables are lower case in the result, lines count in the file of `place`. @throws MillraceError SQL_SYNTAX, MACRO */
export function parseMacros(text: string, place: TextPlace | null): MacroPart[] {
  const tokens = tokenizeAt(text, place).filter((token) => token.type !== 'comment')
  const source: Source = { text, tokens, place, params: new Set(), depth: 0 }
  return parseRange(source, { first: 0, last: tokens.length, start: 0, end: text.length })
}

interface Source {
  text: string
  /** Without comments. */
  tokens: Token[]
  place: TextPlace | null
  /** Parameters of the lambdas around, which are variables without `@`, too. */
  params: ReadonlySet<string>
  /** Of calls around. */
  depth: number
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

function tokenizeAt(text: string, place: TextPlace | null): Token[] {
  try {
    return tokenize(text)
  } catch (error) {
    if (!(error instanceof LexerError)) throw error
    const location = toLocation({ place, ...positionIn(error, place) })
    throw new MillraceError('SQL_SYNTAX', error.message, { ...location, cause: error })
  }
}

function parseRange(source: Source, range: Range): MacroPart[] {
  const parts: MacroPart[] = []
  let cursor = range.start
  let index = range.first
  while (index < range.last) {
    const found = macroAt(source, index, range.last)
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

function macroAt(source: Source, index: number, last: number): Found | null {
  const { tokens, place } = source
  const token = tokens[index]
  const next = tokens[index + 1]
  if (token === undefined) return null
  const at = positionIn(token, place)
  const adjacent = next !== undefined && next.start === token.end ? next : undefined
  const continues = adjacent?.type === 'macro' || isToken(adjacent, '@{')

  if (token.type === 'jinja') return { part: { type: 'jinja', ...at }, end: token.end, next: index + 1 }
  if (token.type === 'quoted' || (token.type === 'string' && isFileName(tokens, index))) {
    if (!token.value.includes('@')) return token.type === 'quoted' ? parameterAt(source, index) : null
    const quote = token.type === 'quoted' ? '"' : "'"
    return { part: { type: 'template', pieces: toPieces(token.value), quote, ...at }, end: token.end, next: index + 1 }
  }
  if (isToken(token, '@')) {
    if (adjacent?.type !== 'string' && adjacent?.type !== 'quoted') {
      throw macroError("Expected a name after '@'", { place, ...at }, 'For the absolute value write abs(…)')
    }
    const pieces = toPieces(adjacent.value)
    return { part: { type: 'template', pieces, quote: "'", ...at }, end: adjacent.end, next: index + 2 }
  }
  if (isToken(token, '@{')) return nameAt(source, index)
  if (token.type === 'word') {
    const join = joinMacroAfter(tokens, index)
    if (join !== null && join < last) return clauseAt(source, join, last, token.start)
    return continues && !RESERVED_WORDS.has(token.text.toLowerCase())
      ? nameAt(source, index)
      : parameterAt(source, index)
  }
  if (token.type !== 'macro') return null
  if (continues) return nameAt(source, index)
  const name = token.value.toLowerCase()
  if (isClauseMacro(tokens, index)) return clauseAt(source, index, last, null)
  // `INSERT INTO @this_model (a, b)` is no call.
  if (isToken(next, '(') && (adjacent !== undefined || isMacroFunction(name))) return callAt(source, index)
  const part: MacroPart = { type: 'variable', name, position: grammarAt(tokens, index, index + 1), ...at }
  return { part, end: token.end, next: index + 1 }
}

/** A lambda's parameter, which needs no `@`; not the name of a function or a named argument. */
function parameterAt({ tokens, params, place }: Source, index: number): Found | null {
  const token = tokens[index]
  const next = tokens[index + 1]
  if (token === undefined || params.size === 0) return null
  const name = token.value.toLowerCase()
  if (!params.has(name) || isToken(next, '(') || isToken(next, ':=')) return null
  const position = grammarAt(tokens, index, index + 1)
  return { part: { type: 'variable', name, position, ...positionIn(token, place) }, end: token.end, next: index + 1 }
}

/** Whether a string is a relation: `FROM 'x.parquet'`, but not `IS DISTINCT FROM 'x'`. */
function isFileName(tokens: Token[], index: number): boolean {
  const previous = tokens[index - 1]
  return isToken(previous, 'JOIN') || (isToken(previous, 'FROM') && !isToken(tokens[index - 2], 'DISTINCT'))
}

/** What is expected between the tokens before `first` and from `next` on. */
function grammarAt(tokens: Token[], first: number, next: number): MacroPosition {
  const previous = tokens[first - 1]
  if (isToken(previous, 'IN')) return 'list'
  if (isToken(previous, 'AS') || isToken(previous, '.') || isToken(tokens[next], '.')) return 'name'
  // A common table expression: WITH @name AS (…).
  return isToken(tokens[next], 'AS') && isToken(tokens[next + 1], '(') ? 'name' : 'value'
}

/** An unquoted name with variables in it. Read from the text: `@{v}1.x` has the number token `1.`. */
function nameAt({ text, tokens, place }: Source, index: number): Found {
  const token = tokens[index]
  const at = positionIn(token ?? { line: 1, column: 1 }, place)
  const { pieces, end } = readName(text, token?.start ?? 0)
  if (text.startsWith('@{', end)) throw macroError("Expected a variable's name and } after @{", { place, ...at })
  let next = index
  while ((tokens[next]?.start ?? Infinity) < end) next += 1
  return { part: { type: 'template', pieces, quote: null, ...at }, end, next }
}

/** `@WHERE(condition) …` up to the clause's end; `start` is that of the words before a JOIN, null where there are none. */
function clauseAt(source: Source, index: number, last: number, start: number | null): Found {
  const { text, tokens, place } = source
  const macro = tokens[index]
  const name = macro?.value.toLowerCase() ?? ''
  const at = positionIn(macro ?? { line: 1, column: 1 }, place)
  const { args, end, next } = argumentsAt(source, index)
  const [condition, ...more] = args
  const upper = name.toUpperCase()
  if (condition === undefined || condition.name !== null || more.length > 0) {
    throw macroError(`Expected @${upper}(condition), got ${args.length} arguments`, { place, ...at })
  }
  const after = clauseEnd(name, tokens, next, last)
  if (after === next) throw macroError(`Expected a clause after @${upper}(…)`, { place, ...at })
  const bodyEnd = tokens[after - 1]?.end ?? end
  const body = parseRange(deeper(source, at), { first: next, last: after, start: end, end: bodyEnd })
  const keyword = CLAUSE_KEYWORDS.get(name) ?? ''
  const prefix = start === null ? '' : text.slice(start, macro?.start ?? start)
  return { part: { type: 'clause', keyword, prefix, condition, body, ...at }, end: bodyEnd, next: after }
}

function callAt(source: Source, index: number): Found {
  const macro = source.tokens[index]
  const name = macro?.value.toLowerCase() ?? ''
  const at = positionIn(macro ?? { line: 1, column: 1 }, source.place)
  const { args, end, next } = argumentsAt(source, index)
  return { part: { type: 'call', name, args, position: grammarAt(source.tokens, index, next), ...at }, end, next }
}

/** The arguments in brackets after the macro at `index`. */
function argumentsAt(source: Source, index: number): { args: MacroArgument[]; end: number; next: number } {
  const { tokens, place } = source
  const macro = tokens[index]
  const at = positionIn(macro ?? { line: 1, column: 1 }, place)
  const inner = deeper(source, at)
  const lambdas = takesLambda(macro?.value.toLowerCase() ?? '')
  const args: MacroArgument[] = []
  let depth = 0
  let first = index + 2
  for (let at = index + 1; at < tokens.length; at++) {
    const token = tokens[at]
    if (token?.type !== 'operator') continue
    if (['(', '[', '{', '@{'].includes(token.text)) depth += 1
    else if ([')', ']', '}'].includes(token.text)) depth -= 1
    if (depth === 0 || (depth === 1 && token.text === ',')) {
      if (at > first) args.push(argumentOf(inner, first, at, lambdas))
      first = at + 1
    }
    if (depth === 0) return { args, end: token.end, next: at + 1 }
  }
  throw macroError(`Expected ')' at the end of @${macro?.value ?? ''}(…)`, { place, ...at })
}

/** The argument of tokens `from` … `to` (exclusive): `value`, `name := value` or a lambda. */
function argumentOf(source: Source, from: number, to: number, lambdas: boolean): MacroArgument {
  const { text, tokens, place } = source
  const named = tokens[from]?.type === 'word' && isToken(tokens[from + 1], ':=') && to > from + 2
  const first = named ? from + 2 : from
  const start = tokens[first]?.start ?? 0
  const end = tokens[to - 1]?.end ?? start
  const lambda = lambdas ? lambdaOf(source, first, to) : null
  return {
    name: named ? (tokens[from]?.text.toLowerCase() ?? null) : null,
    text: text.slice(start, end),
    parts: lambda === null ? parseRange(source, { first, last: to, start, end }) : [],
    lambda,
    ...positionIn(tokens[first] ?? { line: 1, column: 1 }, place),
  }
}

/** `x -> body` or `(x, y) -> body`; null for anything else. */
function lambdaOf(source: Source, first: number, to: number): Lambda | null {
  const { tokens } = source
  const params: string[] = []
  let arrow = first + 1
  if (isToken(tokens[first], '(')) {
    while (arrow < to && !isToken(tokens[arrow], ')')) {
      const token = tokens[arrow]
      if (token?.type === 'word') params.push(token.text.toLowerCase())
      else if (!isToken(token, ',')) return null
      arrow += 1
    }
    arrow += 1
  } else if (tokens[first]?.type === 'word') params.push(tokens[first].text.toLowerCase())
  if (params.length === 0 || !isToken(tokens[arrow], '->') || arrow + 1 >= to) return null
  const start = tokens[arrow + 1]?.start ?? 0
  const within = { ...source, params: new Set([...source.params, ...params]) }
  return { params, body: parseRange(within, { first: arrow + 1, last: to, start, end: tokens[to - 1]?.end ?? start }) }
}

function deeper(source: Source, at: Position): Source {
  if (source.depth < MAX_DEPTH) return { ...source, depth: source.depth + 1 }
  throw macroError(`Expected at most ${MAX_DEPTH} macros within each other`, { ...source, ...at })
}

function positionIn(token: Position, place: TextPlace | null): Position {
  return { line: (place?.line ?? 1) + token.line - 1, column: token.column }
}
