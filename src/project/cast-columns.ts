/** The columns of a query that says the type of each itself, which a model that reads itself needs before it has a table. Pure. */
import { isToken, tokenize, type Token } from '../sql/lexer.ts'
import { closingIndex, depthChange } from './header/brackets.ts'
import { projectionsOf } from './header/column-comments.ts'
import type { Model } from './model.ts'

/** Declared columns, or those of a query that casts each: name → type; null when some type is DuckDB's to find out. */
export function typedColumns({ columns, query }: Pick<Model, 'columns' | 'query'>): Record<string, string> | null {
  if (columns !== null || query === null) return columns
  const typed = projectionsOf(tokenize(query.text)).map(({ tokens }) => castOf(tokens, query.text))
  if (typed.length === 0 || typed.some((one) => one === null)) return null
  return Object.fromEntries(typed.filter((one) => one !== null))
}

/** `x::TYPE AS name` or `CAST(x AS TYPE) AS name` → name and type. */
function castOf(tokens: readonly Token[], text: string): [string, string] | null {
  const expression = tokens.slice(0, -2)
  const name = tokens.at(-1)
  if (name === undefined || !isToken(tokens.at(-2), 'AS') || (name.type !== 'word' && name.type !== 'quoted'))
    return null
  const type = typeOf(expression)
  const [first, last] = [type[0], type.at(-1)]
  if (first === undefined || last === undefined) return null
  return [name.value.toLowerCase(), text.slice(first.start, last.end)]
}

/** The tokens of the type that the whole expression is cast to; none when it is not. */
function typeOf(tokens: readonly Token[]): readonly Token[] {
  const [first] = tokens
  const isCall = isToken(first, 'CAST') || isToken(first, 'TRY_CAST')
  if (isCall && isToken(tokens[1], '(') && closingIndex(tokens, 1) === tokens.length - 1) {
    const inner = tokens.slice(2, -1)
    return inner.slice(lastAtTop(inner, 'AS') + 1)
  }
  const at = lastAtTop(tokens, '::')
  return at > 0 && isOneOperand(tokens.slice(0, at)) ? tokens.slice(at + 1) : []
}

function lastAtTop(tokens: readonly Token[], text: string): number {
  let depth = 0
  let found = -1
  for (const [index, token] of tokens.entries()) {
    depth += depthChange(token)
    if (depth === 0 && isToken(token, text)) found = index
  }
  return found
}

/** Of `a + b::INT` only `b` is cast: a value, a name, a call, something in brackets or a cast of these. */
function isOneOperand(tokens: readonly Token[]): boolean {
  let depth = 0
  return tokens.every((token, index) => {
    const change = depthChange(token)
    depth += change
    if (depth > 0 || change !== 0) return true
    if (token.type === 'operator') return token.text === '.' || token.text === '::'
    return index === 0 || isToken(tokens[index - 1], '.') || isToken(tokens[index - 1], '::')
  })
}
