/** Puts the pieces of an expanded text together, and leaves out what gives nothing. Pure. */
import { isToken, tokenize } from './lexer.ts'
import type { Token } from './lexer.ts'

/** Stands where a macro gave nothing; no character of SQL outside strings and comments. */
export const NOTHING_HERE = '\u{E000}'

/** `nth` of the macros that gave nothing has to be something here: it is a part of an expression. */
export class NothingInExpression extends Error {
  readonly nth: number
  constructor(nth: number) {
    super('nothing within an expression')
    this.nth = nth
  }
}

/** The pieces one after the other, apart where together they would be something else: a word, a comment. */
export function joinPieces(pieces: readonly string[]): string {
  let text = ''
  for (const piece of pieces) text += needsSpace(text, piece) ? ` ${piece}` : piece
  return text
}

function needsSpace(before: string, after: string): boolean {
  const [last = '', first = ''] = [before.at(-1), after[0]]
  if (last === '-') return first === '-'
  if (last === '/') return first === '*'
  return isWordCharacter(last) && isWordCharacter(first)
}

function isWordCharacter(character: string): boolean {
  return /^[\p{L}\p{N}_]$/u.test(character)
}

const OPENERS = ['(', '[', '{', ',', ';', ':=']
const CLOSERS = [')', ']', '}', ',', ';']
const BEFORE_OPERANDS = new Set('AND OR NOT WHERE ON HAVING QUALIFY WHEN THEN ELSE BETWEEN LIKE ILIKE IS IN'.split(' '))
const AFTER_OPERANDS = new Set('AND OR IS IN NOT LIKE ILIKE BETWEEN COLLATE THEN ELSE END'.split(' '))

/** `text` without its places of nothing, their aliases, and a comma before or after each. @throws NothingInExpression */
export function withoutNothing(text: string): string {
  const tokens = tokenize(text).filter(({ type }) => type !== 'comment')
  const gone = new Set<number>()
  let nth = 0
  for (const [index, token] of tokens.entries()) {
    if (token.text !== NOTHING_HERE || gone.has(index)) continue
    gone.add(index)
    let next = index + 1
    if (isToken(tokens[next], 'AS')) {
      gone.add(next).add(next + 1)
      next += 2
    }
    const before = previousOf(tokens, gone, index)
    const previous = before === null ? undefined : tokens[before]
    if (isPartOfExpression(previous, tokens[next])) throw new NothingInExpression(nth)
    if (before !== null && isToken(previous, ',')) gone.add(before)
    else if (isToken(tokens[next], ',')) gone.add(next)
    nth += 1
  }
  let result = ''
  let cursor = 0
  for (const index of [...gone].sort((a, b) => a - b)) {
    const token = tokens[index]
    if (token === undefined) continue
    result += text.slice(cursor, token.start)
    cursor = token.end
  }
  return result + text.slice(cursor)
}

function previousOf(tokens: readonly Token[], gone: ReadonlySet<number>, index: number): number | null {
  for (let at = index - 1; at >= 0; at--) if (tokens[at] !== undefined && !gone.has(at)) return at
  return null
}

function isPartOfExpression(previous: Token | undefined, next: Token | undefined): boolean {
  const joins = (token: Token | undefined, words: ReadonlySet<string>, ends: readonly string[]): boolean => {
    if (token?.type === 'word') return words.has(token.text.toUpperCase())
    return token?.type === 'operator' && token.text !== NOTHING_HERE && !ends.includes(token.text)
  }
  return joins(previous, BEFORE_OPERANDS, OPENERS) || joins(next, AFTER_OPERANDS, CLOSERS)
}
