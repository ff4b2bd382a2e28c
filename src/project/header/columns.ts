/** Declared columns, their types and descriptions. */
import { isToken, type Token } from '../../sql/lexer.ts'
import { closingIndex, depthChange } from './brackets.ts'
import { headerProblem } from './header-source.ts'
import type { HeaderValue } from './properties.ts'
import { readElements, readPairs, readRequiredText, textOf, unexpected } from './values.ts'

/** `(col TYPE, …)` → lower-case name → type as written with single spaces; null for `()`. */
export function readColumns(value: HeaderValue): Record<string, string> | null {
  const [open] = value.tokens
  if (!isToken(open, '(') || closingIndex(value.tokens, 0) !== value.tokens.length - 1) {
    throw unexpected(value, value.at, '(column TYPE, …)')
  }
  const columns: [string, string][] = readElements(value).map((element) => {
    const [name, ...type] = element.tokens
    if (name === undefined || !['word', 'quoted', 'string'].includes(name.type) || name.value === '') {
      throw unexpected(value, name ?? value.at, 'the name of a column')
    }
    return [name.value.toLowerCase(), readType({ ...value, key: name.value, at: name, tokens: type })]
  })
  for (const [index, [name]] of columns.entries()) {
    if (columns.findIndex(([other]) => other === name) === index) continue
    throw headerProblem(value.source, value.at, `expected each column once in 'columns'; '${name}' is there twice`)
  }
  return columns.length === 0 ? null : Object.fromEntries(columns)
}

/** A DuckDB type as written, white space and comments reduced to single spaces. Whether it exists is DuckDB's to say. */
export function readType(value: HeaderValue): string {
  const { source, at, tokens } = value
  if (tokens.length === 0) {
    throw headerProblem(
      source,
      at,
      `expected a type after the column '${value.key}'; got none`,
      `write ${value.key} VARCHAR`,
    )
  }
  const [first] = tokens
  const stray = first?.type === 'word' || first?.type === 'quoted' ? firstStray(tokens) : first
  if (stray !== undefined) throw unexpected(value, stray, 'a DuckDB type')
  return tokens.map((token, index) => gapBefore(tokens[index - 1], token) + token.text).join('')
}

/** `(c = 'text', …)` → lower-case column → text. */
export function readColumnDescriptions(value: HeaderValue): Record<string, string> {
  return Object.fromEntries(readPairs(value).map(([key, text]) => [key.toLowerCase(), readRequiredText(text)]))
}

/** A property list `(k = v)` → key → SQL text; null for NULL, which unsets the project's default. */
export function readSqlProperties(value: HeaderValue): Record<string, string | null> {
  return Object.fromEntries(
    readPairs(value).map(([key, { source, tokens }]) => {
      const text = textOf(source, tokens)
      return [key, text.toUpperCase() === 'NULL' ? null : text]
    }),
  )
}

/** Outside of brackets a type is words: a string, number or sign there is something else, e.g. a comment or a default. */
function firstStray(tokens: readonly Token[]): Token | undefined {
  let depth = 0
  for (const token of tokens) {
    const change = depthChange(token)
    depth += change
    const allowed = token.type === 'word' || token.type === 'quoted' || isToken(token, '.')
    if (depth === 0 && change === 0 && !allowed) return token
  }
  return undefined
}

function gapBefore(previous: Token | undefined, token: Token): string {
  return previous === undefined || previous.end === token.start ? '' : ' '
}
