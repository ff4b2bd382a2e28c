/** Brackets and commas in a list of tokens without comments. */
import type { Token } from '../../sql/lexer.ts'

const OPENING = new Set(['(', '[', '{', '@{'])
const CLOSING = new Set([')', ']', '}'])

/** +1 for an opening bracket, -1 for a closing one, else 0. */
export function depthChange(token: Token): number {
  if (token.type !== 'operator') return 0
  return OPENING.has(token.text) ? 1 : CLOSING.has(token.text) ? -1 : 0
}

/** The index of the bracket that closes the one at `open`; -1 when none does. */
export function closingIndex(tokens: readonly Token[], open: number): number {
  let depth = 0
  for (let index = open; index < tokens.length; index++) {
    const token = tokens[index]
    if (token !== undefined) depth += depthChange(token)
    if (depth === 0) return index
  }
  return -1
}

/** The parts between the commas outside of brackets; a trailing comma ends no part. Empty parts are kept. */
export function splitAtCommas(tokens: readonly Token[]): Token[][] {
  const parts: Token[][] = [[]]
  let depth = 0
  for (const token of tokens) {
    depth = Math.max(0, depth + depthChange(token))
    if (depth === 0 && token.type === 'operator' && token.text === ',') parts.push([])
    else parts.at(-1)?.push(token)
  }
  if (parts.at(-1)?.length === 0) parts.pop()
  return parts
}
