/** Whether a statement of a model's file is its query. */
import { isToken, type Token } from '../../sql/lexer.ts'
import { closingIndex, depthChange } from './brackets.ts'

const QUERY_STARTS = new Set('SELECT FROM PIVOT PIVOT_WIDER PIVOT_LONGER UNPIVOT TABLE SUMMARIZE DESCRIBE'.split(' '))
const SET_OPERATIONS = new Set(['UNION', 'EXCEPT', 'INTERSECT'])
const WRITES = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

/** A SELECT, WITH, FROM, PIVOT, … , a set operation, a JINJA_QUERY block, or a call of `@UNION`. */
export function isQuery(tokens: readonly Token[]): boolean {
  const start = tokens.findIndex((token) => !isToken(token, '('))
  const first = tokens[start]
  if (first === undefined) return false
  if (first.type === 'jinja') return /^JINJA_QUERY/i.test(first.text)
  if (first.type === 'macro') {
    const name = first.value.toUpperCase()
    return name === 'WITH' ? !writesAfterWith(tokens) : name === 'UNION' && isMacroCall(tokens.slice(start))
  }
  if (first.type !== 'word') return false
  const word = first.text.toUpperCase()
  if (word === 'WITH') return !writesAfterWith(tokens)
  if (word === 'VALUES') return tokens.some((token) => isOneOf(token, SET_OPERATIONS))
  return QUERY_STARTS.has(word)
}

/** Whether the tokens are one call `@name(…)` and nothing else. */
export function isMacroCall(tokens: readonly Token[]): boolean {
  return tokens[0]?.type === 'macro' && isToken(tokens[1], '(') && closingIndex(tokens, 1) === tokens.length - 1
}

/** `WITH c AS (…) INSERT …`: the word after the last CTE's bracket says what the statement does. */
function writesAfterWith(tokens: readonly Token[]): boolean {
  let depth = 0
  for (const [index, token] of tokens.entries()) {
    depth += depthChange(token)
    if (depth !== 0 || !isToken(token, ')')) continue
    const next = tokens[index + 1]
    if (isOneOf(next, WRITES)) return true
    if (isOneOf(next, QUERY_STARTS)) return false
  }
  return false
}

function isOneOf(token: Token | undefined, words: ReadonlySet<string>): boolean {
  return token?.type === 'word' && words.has(token.text.toUpperCase())
}
