/** A block `MODEL (…)` or `AUDIT (…)` → its properties, as tokens. */
import { isToken, type Token } from '../../sql/lexer.ts'
import { MillraceError } from '../../errors.ts'
import { closingIndex, splitAtCommas } from './brackets.ts'
import { headerProblem, knownHint, type HeaderSource } from './header-source.ts'
import type { HeaderProblems } from './header-problems.ts'
import type { Statement } from './statements.ts'

/** What is written for one key. */
export interface HeaderValue {
  source: HeaderSource
  /** Lower case. */
  key: string
  /** Where it starts; used to report. */
  at: Token
  /** Never empty, no comments. */
  tokens: readonly Token[]
}

export type Properties = ReadonlyMap<string, HeaderValue>

/** What keys a block takes, and what to say about one it does not. */
export interface PropertyNames {
  /** E.g. `MODEL property`. */
  what: string
  known: readonly string[]
  /** What to say instead of the nearest known name. */
  explain?: (key: string) => string | null
}

/**
 * The properties of a block whose statement begins with a word and `(`.
 * @throws MillraceError for brackets that do not match or a missing `;`; problems of single properties go to `problems`.
 */
export function parseBlock(
  source: HeaderSource,
  statement: Statement,
  names: PropertyNames,
  problems: HeaderProblems,
): Properties {
  const { tokens, first } = statement
  const word = first.text.toUpperCase()
  const close = closingIndex(tokens, 1)
  if (close === -1) {
    throw headerProblem(
      source,
      tokens[1] ?? first,
      `expected ')' that ends ${word} (…); the file ends before it`,
      'count the brackets',
    )
  }
  const next = tokens[close + 1]
  if (next !== undefined) {
    throw headerProblem(
      source,
      next,
      `expected ';' after ${word} (…); got '${next.text}'`,
      `write ${word} (…); and then the SQL`,
    )
  }
  if (!statement.terminated && statement.end < source.text.trimEnd().length) {
    const got = source.text.slice(statement.end).trim().split(/\s/, 1).join('')
    throw headerProblem(
      source,
      tokens[close] ?? first,
      `expected ';' after ${word} (…); got '${got}'`,
      `write ${word} (…);`,
    )
  }
  return parseProperties(source, splitAtCommas(tokens.slice(2, close)), names, problems)
}

/** `KEY value` for every part. Problems of single properties go to `problems`. */
export function parseProperties(
  source: HeaderSource,
  parts: readonly (readonly Token[])[],
  names: PropertyNames,
  problems: HeaderProblems,
): Properties {
  const properties = new Map<string, HeaderValue>()
  for (const part of parts) {
    const value = problems.attempt(null, () => parseProperty(source, part, names))
    if (value === null) continue
    if (properties.has(value.key)) {
      problems.add(
        headerProblem(source, value.at, `expected '${value.key}' once; it is written twice`, 'remove one of them'),
      )
    }
    properties.set(value.key, value)
  }
  return properties
}

function parseProperty(source: HeaderSource, part: readonly Token[], names: PropertyNames): HeaderValue | null {
  const [at, ...tokens] = part
  if (at === undefined) return null
  if (at.type === 'macro') {
    throw new MillraceError('NOT_YET', `a macro that writes a ${names.what} (@${at.value}) is not supported yet`, {
      ...source.place(at),
      hint: 'write the property itself',
    })
  }
  if (at.type !== 'word') {
    throw headerProblem(
      source,
      at,
      `expected the name of a ${names.what}; got '${at.text}'`,
      `Known: ${names.known.join(', ')}`,
    )
  }
  const key = at.text.toLowerCase()
  if (!names.known.includes(key)) {
    const hint = names.explain?.(key) ?? knownHint(key, names.known)
    throw headerProblem(source, at, `expected a ${names.what}; '${at.text}' is none`, hint)
  }
  const [first] = tokens
  if (first === undefined)
    throw headerProblem(source, at, `expected a value after '${key}'; got none`, `write ${key} VALUE`)
  if (isToken(first, '=') || isToken(first, ':=')) {
    throw headerProblem(
      source,
      first,
      `expected a value after '${key}'; got '${first.text}'`,
      `write ${key} VALUE without '${first.text}'`,
    )
  }
  return { source, key, at, tokens }
}
