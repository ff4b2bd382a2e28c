/** Comments beside a query's projections → descriptions of its columns. */
import { isToken, type Token } from '../../sql/lexer.ts'
import { depthChange } from './brackets.ts'
import { commentText } from './comments.ts'

const CLAUSES = new Set(
  'FROM WHERE GROUP HAVING QUALIFY WINDOW ORDER LIMIT OFFSET UNION EXCEPT INTERSECT USING SAMPLE SELECT'.split(' '),
)
/** A last word that is no alias. */
const NO_NAME = new Set(['NULL', 'TRUE', 'FALSE', 'END'])

export interface Projection {
  /** Without comments. */
  tokens: Token[]
  comments: Token[]
}

/**
 * The last comment of each projection of the query's first SELECT, by lower-case column name. A comment belongs to
 * what stands before it on its line, else to what follows.
 * @param tokens of the query, comments included.
 */
export function columnComments(tokens: readonly Token[]): Record<string, string> {
  const found: Record<string, string> = {}
  for (const { tokens: projection, comments } of projectionsOf(tokens)) {
    const name = projectionName(projection)
    const comment = comments.at(-1)
    const text = comment === undefined ? '' : commentText(comment)
    if (name !== null && text !== '') found[name.toLowerCase()] = text
  }
  return found
}

/** The projections of the query's first SELECT that is not in brackets. */
export function projectionsOf(tokens: readonly Token[]): Projection[] {
  const start = selectIndex(tokens)
  if (start === -1) return []
  const projections: Projection[] = [{ tokens: [], comments: [] }]
  let depth = 0
  let waiting: Token[] = []
  let previous = tokens[start]
  for (const token of tokens.slice(start + 1)) {
    const current = projections.at(-1)
    if (current === undefined) break
    if (token.type === 'comment') {
      if (depth > 0) continue
      const beside = previous !== undefined && endLine(previous) === token.line
      const owner = isToken(previous, ',') ? projections.at(-2) : current
      if (!beside) waiting.push(token)
      else if (owner !== undefined && owner.tokens.length > 0) owner.comments.push(token)
      continue
    }
    if (depth === 0 && endsProjections(token, previous)) break
    depth = Math.max(0, depth + depthChange(token))
    if (depth === 0 && isToken(token, ',')) projections.push({ tokens: [], comments: [] })
    else {
      current.tokens.push(token)
      current.comments.push(...waiting)
    }
    waiting = []
    previous = token
  }
  return projections
}

function selectIndex(tokens: readonly Token[]): number {
  let depth = 0
  return tokens.findIndex((token) => {
    depth = Math.max(0, depth + depthChange(token))
    return depth === 0 && isToken(token, 'SELECT')
  })
}

/** `a IS DISTINCT FROM b` goes on. */
function endsProjections(token: Token, previous: Token | undefined): boolean {
  if (token.type !== 'word' || !CLAUSES.has(token.text.toUpperCase()) || isToken(previous, '.')) return false
  return !(isToken(token, 'FROM') && isToken(previous, 'DISTINCT'))
}

/** The alias, or the column's own name; null when only DuckDB knows. */
function projectionName(tokens: readonly Token[]): string | null {
  const last = tokens.at(-1)
  if (last === undefined || (last.type !== 'word' && last.type !== 'quoted')) return null
  if (last.type === 'word' && NO_NAME.has(last.text.toUpperCase())) return null
  const before = tokens.at(-2)
  if (before === undefined || isToken(before, 'AS') || isToken(before, 'DISTINCT')) return last.value
  if (isToken(before, '.'))
    return tokens.every((token, index) => index % 2 === 0 || isToken(token, '.')) ? last.value : null
  return before.type === 'operator' && !isToken(before, ')') && !isToken(before, ']') ? null : last.value
}

function endLine(token: Token): number {
  return token.line + (token.text.match(/\n/g)?.length ?? 0)
}
