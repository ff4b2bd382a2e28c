/** Conditions of macros: the plain ones are decided here, all others by DuckDB. Pure. */
import { isToken, tokenize } from './lexer.ts'
import type { Token } from './lexer.ts'
import { RESERVED_WORDS } from './reserved-words.ts'

type Literal =
  | { type: 'string' | 'name'; value: string }
  | { type: 'number'; value: number }
  | { type: 'boolean'; value: boolean }

/**
 * Whether `sql` holds, where that needs no database: a literal alone, or two compared. As in SQLMesh a text is true when it
 * is not empty, a text never equals a number, and two bare names are compared as names. Null for everything else.
 */
export function plainTruth(sql: string): boolean | null {
  const tokens = tokenize(sql).filter(({ type }) => type !== 'comment')
  const [first, second, third] = tokens
  if (tokens.length === 1) return isToken(first, 'NULL') ? false : truthOf(literalOf(first))
  if (tokens.length === 2 && isToken(first, 'NOT')) {
    const literal = literalOf(second)
    return literal?.type === 'boolean' ? !literal.value : null
  }
  if (tokens.length !== 3) return null
  const [left, right] = [literalOf(first), literalOf(third)]
  if (left === null || right === null) return null
  const equal = equalOf(left, right)
  if (equal !== null && (isToken(second, '=') || isToken(second, '=='))) return equal
  return equal !== null && (isToken(second, '<>') || isToken(second, '!=')) ? !equal : null
}

function truthOf(literal: Literal | null): boolean | null {
  if (literal === null || literal.type === 'name') return null
  return literal.type === 'string' ? literal.value !== '' : Boolean(literal.value)
}

function equalOf(left: Literal, right: Literal): boolean | null {
  if (left.type === right.type) return left.value === right.value
  return left.type === 'name' || right.type === 'name' || left.type === 'boolean' || right.type === 'boolean'
    ? null
    : false
}

function literalOf(token: Token | undefined): Literal | null {
  if (token?.type === 'string') return { type: 'string', value: token.value }
  if (token?.type === 'number' && /^\d{1,15}$|^\d{1,7}\.\d{1,7}$/.test(token.text)) {
    return { type: 'number', value: Number(token.text) }
  }
  if (isToken(token, 'TRUE') || isToken(token, 'FALSE')) return { type: 'boolean', value: isToken(token, 'TRUE') }
  const isName = token?.type === 'quoted' || (token?.type === 'word' && !RESERVED_WORDS.has(token.text.toLowerCase()))
  return isName ? { type: 'name', value: token.value.toLowerCase() } : null
}
