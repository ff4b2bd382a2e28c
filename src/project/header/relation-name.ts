/** Names of relations in a header → normalized names. */
import { displayName } from '../../sql/identifiers.ts'
import { isToken } from '../../sql/lexer.ts'
import type { RelationName } from '../model.ts'
import { createTextSource, headerProblem, tokenizeSource } from './header-source.ts'
import type { HeaderValue } from './properties.ts'
import { readElements, textOf } from './values.ts'
import { substituteVariables } from './variables.ts'

/**
 * `a`, `a.b` or `a.b.c`, quoted or not: lower case, the default catalog left out.
 * @throws MillraceError for a string, more than three parts, or anything else.
 */
export function readRelationName(value: HeaderValue, defaultCatalog: string | null): RelationName {
  const { source, tokens } = substituteVariables(value, 'identifier')
  const parts: string[] = []
  for (const [index, token] of tokens.entries()) {
    if (token.type === 'string') {
      const hint = `write ${value.key} ${token.value || 'schema.model'}, without quotes or in double quotes`
      throw headerProblem(
        source,
        token,
        `expected an identifier for '${value.key}'; got the string ${token.text}`,
        hint,
      )
    }
    const wantsPart = index % 2 === 0
    const isPart = (token.type === 'word' || token.type === 'quoted') && token.value !== ''
    if (wantsPart ? !isPart : !isToken(token, '.')) throw notAName(value)
    if (wantsPart) parts.push(token.value.toLowerCase())
  }
  const [first, second, third] = parts
  if (first === undefined || tokens.length % 2 === 0 || parts.length > 3) throw notAName(value)
  if (second === undefined) return { catalog: null, schema: null, name: first }
  if (third === undefined) return { catalog: null, schema: first, name: second }
  return { catalog: first === defaultCatalog?.toLowerCase() ? null : first, schema: second, name: third }
}

/** A list of names, where a string stands for the name in it: normalized, without duplicates, sorted. */
export function readRelationNames(value: HeaderValue, defaultCatalog: string | null): string[] {
  const elements = readElements(substituteVariables(value, 'identifier')).map((element) => {
    const [token] = element.tokens
    if (element.tokens.length !== 1 || token?.type !== 'string') return element
    const source = createTextSource(value.source.place(token), token.value, value.source)
    return { ...element, source, tokens: tokenizeSource(source) }
  })
  return [...new Set(elements.map((element) => displayName(readRelationName(element, defaultCatalog))))].sort()
}

function notAName(value: HeaderValue): Error {
  return headerProblem(
    value.source,
    value.tokens[0] ?? value.at,
    `expected a name of one to three parts for '${value.key}'; got '${textOf(value.source, value.tokens)}'`,
    'write schema.model; put double quotes around a part with other characters, and a comma after each property',
  )
}
