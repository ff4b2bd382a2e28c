/** SQL texts given as arguments (`columns := (a, b)`): taking them apart and putting them into other SQL. Pure. */
import { quoteIdentifier } from './identifiers.ts'
import { isToken, tokenize } from './lexer.ts'
import type { Token } from './lexer.ts'

/** The items of `(a, b)` or `[a, b]`, none for `()`; any other text, a call `f(a, b)` too, is the only item. */
export function parseList(text: string): string[] {
  const tokens = meaningful(text)
  const depths = depthsOf(tokens)
  const last = tokens.length - 1
  const opens = isToken(tokens[0], '(') || isToken(tokens[0], '[')
  // The first bracket closes with the last token only, unlike in `(a + b) * (c)`.
  if (!opens || last < 1 || depths.indexOf(0) !== last) return [withoutComments(text)]
  const commas = tokens.flatMap((token, index) => (token.text === ',' && depths[index] === 1 ? [index] : []))
  const bounds = [0, ...commas, last]
  const items = bounds.slice(1).map((end, index) => tokens.slice((bounds[index] ?? 0) + 1, end))
  return items.filter((item) => item.length > 0).map((item) => joinTokens(item))
}

/** A column or expression; a string stands for the column of that name, because an audit of a constant says nothing. */
export function toColumn(text: string): string {
  const [token, ...more] = meaningful(text)
  return token?.type === 'string' && more.length === 0 ? quoteIdentifier(token.value) : `(${withoutComments(text)})`
}

const CLAUSE = /^(SELECT|WITH|FROM|VALUES|PARTITION|ORDER|GROUP|WHERE|HAVING|QUALIFY|LIMIT|ROWS|RANGE|GROUPS|\*)$/i
const OPERATOR_WORD = /^(AND|OR|NOT|IN|IS|LIKE|ILIKE|GLOB|SIMILAR|BETWEEN|COLLATE)$/i

/** The text in parentheses where it is an expression whose operators the SQL around it could take apart. */
export function toOperand(text: string): string {
  const tokens = meaningful(text)
  const depths = depthsOf(tokens)
  const isStar = isToken(tokens.at(-1), '*')
  const operators = tokens.some((token, index) => {
    if (depths[index] !== 0) return false
    if (token.type === 'word') return OPERATOR_WORD.test(token.text)
    return token.type === 'operator' && !['.', '::', ',', ')', ']', '}'].includes(token.text)
  })
  const bare = withoutComments(text)
  return operators && !isStar && !CLAUSE.test(tokens[0]?.text ?? '') ? `(${bare})` : bare
}

/** The text without comments and without space around it. */
export function withoutComments(text: string): string {
  return joinTokens(meaningful(text))
}

function meaningful(text: string): Token[] {
  return tokenize(text).filter((token) => token.type !== 'comment')
}

/** Open brackets after each token. */
function depthsOf(tokens: Token[]): number[] {
  let depth = 0
  return tokens.map((token) => {
    if (token.type === 'operator') {
      if ('([{'.includes(token.text)) depth += 1
      else if (')]}'.includes(token.text)) depth -= 1
    }
    return depth
  })
}

/** The tokens as written, with one space wherever there was something between two of them. */
function joinTokens(tokens: Token[]): string {
  return tokens
    .map((token, index) => {
      const next = tokens[index + 1]
      return next === undefined || next.start === token.end ? token.text : `${token.text} `
    })
    .join('')
}
