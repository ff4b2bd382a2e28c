/** Where a clause ends that `@WHERE(condition)` and its like keep or drop. Pure. */
import { isToken } from './lexer.ts'
import type { Token } from './lexer.ts'

/** Macro function → the words it stands for. */
export const CLAUSE_KEYWORDS: ReadonlyMap<string, string> = new Map([
  ['with', 'WITH'],
  ['join', 'JOIN'],
  ['where', 'WHERE'],
  ['group_by', 'GROUP BY'],
  ['having', 'HAVING'],
  ['order_by', 'ORDER BY'],
  ['limit', 'LIMIT'],
])

const JOIN_WORDS = new Set('LEFT RIGHT FULL INNER OUTER CROSS NATURAL SEMI ANTI ASOF POSITIONAL'.split(' '))
/** Words that begin what can follow any clause of a query. */
const AFTER = new Set('UNION EXCEPT INTERSECT QUALIFY WINDOW GROUP HAVING ORDER LIMIT OFFSET WHERE'.split(' '))
/** Words of a window's frame: `OVER (@ORDER_BY(c) x ROWS …)`. */
const FRAMES = new Set(['ROWS', 'RANGE', 'GROUPS'])

/** Whether a clause macro is called at `index`. */
export function isClauseMacro(tokens: readonly Token[], index: number): boolean {
  const token = tokens[index]
  return token?.type === 'macro' && CLAUSE_KEYWORDS.has(token.value.toLowerCase()) && isToken(tokens[index + 1], '(')
}

/** The index of `@JOIN` where `index` is at the words before it (`LEFT OUTER @JOIN(…)`), null where it is not. */
export function joinMacroAfter(tokens: readonly Token[], index: number): number | null {
  let at = index
  while (isJoinWord(tokens, at)) at += 1
  const macro = tokens[at]
  return at > index && macro?.value.toLowerCase() === 'join' && isClauseMacro(tokens, at) ? at : null
}

/** The index of the first token that is no part of the clause whose first is `first`; at most `last`. */
export function clauseEnd(name: string, tokens: readonly Token[], first: number, last: number): number {
  if (name === 'with') return withEnd(tokens, first, last)
  let depth = 0
  for (let index = first; index < last; index++) {
    const token = tokens[index]
    if (depth === 0 && index > first && endsAt(name, tokens, index)) return index
    depth += depthChange(token)
    if (depth < 0 || (depth === 0 && isToken(token, ';'))) return index
  }
  return last
}

function endsAt(name: string, tokens: readonly Token[], index: number): boolean {
  const token = tokens[index]
  if (token?.type === 'macro') return isClauseMacro(tokens, index)
  if (name === 'join' && (isToken(token, ',') || isToken(token, 'JOIN') || startsJoin(tokens, index))) return true
  if (token?.type !== 'word' || isToken(tokens[index - 1], '.')) return false
  const word = token.text.toUpperCase()
  if (word === 'USING') return isToken(tokens[index + 1], 'SAMPLE')
  if (name === 'order_by' && FRAMES.has(word)) return tokens[index + 1]?.type !== 'operator'
  return AFTER.has(word)
}

function startsJoin(tokens: readonly Token[], index: number): boolean {
  let at = index
  while (isJoinWord(tokens, at)) at += 1
  return at > index && (isToken(tokens[at], 'JOIN') || isClauseMacro(tokens, at))
}

function isJoinWord(tokens: readonly Token[], index: number): boolean {
  const token = tokens[index]
  return token?.type === 'word' && JOIN_WORDS.has(token.text.toUpperCase()) && !isToken(tokens[index + 1], '(')
}

/** Behind the bracket of the last common table expression: no comma follows it. */
function withEnd(tokens: readonly Token[], first: number, last: number): number {
  let depth = 0
  let body = false
  for (let index = first; index < last; index++) {
    const token = tokens[index]
    if (depth === 0 && isToken(token, 'AS')) body = true
    const change = depthChange(token)
    depth += change
    if (change < 0 && depth === 0 && body) {
      if (!isToken(tokens[index + 1], ',')) return index + 1
      body = false
    }
  }
  return last
}

function depthChange(token: Token | undefined): number {
  if (token?.type !== 'operator') return 0
  if (['(', '[', '{', '@{'].includes(token.text)) return 1
  return [')', ']', '}'].includes(token.text) ? -1 : 0
}
