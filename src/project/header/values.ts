/** The values of header properties: scalars, lists, SQL text as written, `key = value` pairs. */
import { isToken, type Token } from '../../sql/lexer.ts'
import { closingIndex, splitAtCommas } from './brackets.ts'
import { headerProblem, knownHint, type HeaderSource } from './header-source.ts'
import type { HeaderValue } from './properties.ts'

const TRUE = new Set(['true', 't', 'yes', 'y', 'on', '1'])
const FALSE = new Set(['false', 'f', 'no', 'n', 'off', '0'])

/** A word, string, quoted identifier or number; null for NULL. */
export function readText(value: HeaderValue): string | null {
  const [token, second] = value.tokens
  if (token !== undefined && isToken(token, '-') && second?.type === 'number' && value.tokens.length === 2) {
    return `-${second.text}`
  }
  const single = onlyToken(value, 'a name, a number or a quoted text')
  if (!['word', 'string', 'quoted', 'number'].includes(single.type)) {
    throw unexpected(value, single, 'a name, a number or a quoted text')
  }
  return single.type === 'word' && single.text.toUpperCase() === 'NULL' ? null : single.value
}

/** Like readText, where NULL makes no sense. */
export function readRequiredText(value: HeaderValue): string {
  const text = readText(value)
  if (text === null || text === '') throw unexpected(value, value.at, 'a text that is not empty')
  return text
}

/** TRUE or FALSE, quoted or not, or what YAML would call so. */
export function readBoolean(value: HeaderValue): boolean {
  const text = readText(value)?.toLowerCase() ?? ''
  if (TRUE.has(text)) return true
  if (FALSE.has(text)) return false
  throw unexpected(value, value.tokens[0] ?? value.at, 'TRUE or FALSE')
}

/** A whole number, at least `minimum`. */
export function readInteger(value: HeaderValue, minimum: number): number {
  const text = readText(value)?.trim() ?? ''
  const number = Number(text)
  if (!/^-?\d+$/.test(text) || number < minimum || !Number.isSafeInteger(number)) {
    throw unexpected(value, value.tokens[0] ?? value.at, `a whole number, ${minimum} or more,`)
  }
  return number
}

/** One of `choices`, case ignored, in the spelling of `choices`. */
export function readChoice<T extends string>(value: HeaderValue, choices: readonly T[]): T {
  const text = readText(value) ?? 'NULL'
  const found = choices.find((choice) => choice.toLowerCase() === text.toLowerCase())
  if (found !== undefined) return found
  throw headerProblem(
    value.source,
    value.tokens[0] ?? value.at,
    `expected one of the values of '${value.key}'; got '${text}'`,
    knownHint(text, choices),
  )
}

/** A column's name, lower case. */
export function readColumn(value: HeaderValue): string {
  const token = onlyToken(value, 'the name of a column')
  if (!['word', 'string', 'quoted'].includes(token.type) || token.value === '') {
    throw unexpected(value, token, 'the name of a column')
  }
  return token.value.toLowerCase()
}

/** `(a, b)`, `[a, b]`, `(a)` and bare `a` are the same: a list. */
export function readElements(value: HeaderValue): HeaderValue[] {
  const { tokens } = value
  const [first] = tokens
  const listed = isToken(first, '(') || isToken(first, '[')
  if (!listed || closingIndex(tokens, 0) !== tokens.length - 1) return [value]
  return splitAtCommas(tokens.slice(1, -1)).map((part) => {
    if (part.length === 0) throw unexpected(value, first ?? value.at, 'something between two commas')
    return { ...value, tokens: part }
  })
}

/** A list of names or texts; what is neither stays as written. */
export function readTexts(value: HeaderValue): string[] {
  return readElements(value).map((element) =>
    element.tokens.length === 1 ? readRequiredText(element) : textOf(value.source, element.tokens),
  )
}

/** A list of SQL expressions as written; a string stands for the expression in it. */
export function readExpressions(value: HeaderValue): string[] {
  return readElements(value).map(readExpression)
}

/** One SQL expression as written; a string stands for the expression in it. */
export function readExpression(value: HeaderValue): string {
  const [token] = value.tokens
  if (value.tokens.length === 1 && token?.type === 'string') return readRequiredText(value)
  return textOf(value.source, value.tokens)
}

/** `(k = v, 'k.k' = v)` → pairs in order. Keys as written. */
export function readPairs(value: HeaderValue): [key: string, value: HeaderValue][] {
  const [first] = value.tokens
  const listed = isToken(first, '(') || isToken(first, '[')
  if (!listed || closingIndex(value.tokens, 0) !== value.tokens.length - 1) {
    throw unexpected(value, first ?? value.at, '(key = value, …)')
  }
  return readElements(value).map((element) => {
    const [key, sign, ...tokens] = element.tokens
    const named = key?.type === 'word' || key?.type === 'quoted' || key?.type === 'string'
    if (key === undefined || !named || !(isToken(sign, '=') || isToken(sign, ':=')) || tokens.length === 0) {
      throw unexpected(value, key ?? value.at, 'key = value')
    }
    return [key.value, { ...value, key: key.value, at: key, tokens }]
  })
}

/** The SQL of `tokens` as written; a comment between two of them becomes a space. */
export function textOf(source: Pick<HeaderSource, 'text'>, tokens: readonly Token[]): string {
  let text = ''
  let end: number | null = null
  for (const token of tokens) {
    const gap: string = end === null ? '' : source.text.slice(end, token.start)
    text += (/^\s*$/.test(gap) ? gap : ' ') + token.text
    end = Math.max(token.end, end ?? 0)
  }
  return text
}

/** "expected X for 'key'; got Y", at `token`. */
export function unexpected(value: HeaderValue, token: Token, expected: string): Error {
  const got = token === value.at ? textOf(value.source, value.tokens) : token.text
  return headerProblem(value.source, token, `expected ${expected} for '${value.key}'; got '${shorten(got)}'`)
}

/** @throws MillraceError when there are several tokens: text that lacks quotes, or a comma that is missing. */
function onlyToken(value: HeaderValue, expected: string): Token {
  const [token, second] = value.tokens
  if (token === undefined) throw unexpected(value, value.at, expected)
  if (second === undefined) return token
  throw headerProblem(
    value.source,
    second,
    `expected ${expected} for '${value.key}'; got '${shorten(textOf(value.source, value.tokens))}'`,
    'put text with other characters than letters in quotes, and a comma after each property',
  )
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, ' ')
  return line.length > 60 ? `${line.slice(0, 60)}…` : line
}
