/** What a built-in audit takes: its parameters, and the readers of what a call gives for them. Pure. */
import { MillraceError } from '../errors.ts'
import { parseList, toColumn, withoutComments } from './argument-text.ts'
import { isToken, tokenize } from './lexer.ts'

/** Argument name (lower case) → SQL text without macros. */
export type AuditArguments = Record<string, string>

/** `columns`, `list`: one thing or several in brackets, never none. `relation`: the name of a table. `sql`: any expression. */
export type ParameterType = 'column' | 'columns' | 'list' | 'number' | 'boolean' | 'relation' | 'sql'

export interface BuiltInAudit {
  required: Readonly<Record<string, ParameterType>>
  optional: Readonly<Record<string, ParameterType>>
  /** At least one of these optional ones must be given. */
  oneOf?: readonly string[]
  /** `from` is a relation or a sub-query in parentheses. The arguments are checked. */
  query: (args: AuditArguments, from: string) => string
}

const EXPECTED: Record<ParameterType, string> = {
  column: 'a column or an expression of columns',
  columns: 'a column, or several in parentheses',
  list: 'a value, or several in parentheses',
  number: 'a number',
  boolean: 'TRUE or FALSE',
  relation: 'the name of a model or table',
  sql: 'an expression',
}

/** @throws MillraceError AUDIT for an empty list, a constant in the place of a column, a text in the place of a number … */
export function assertArgument(
  audit: string,
  name: string,
  { type, text }: { type: ParameterType; text: string },
): void {
  if (type === 'columns' || type === 'list') {
    const list = parseList(text)
    if (list.length === 0)
      throw new MillraceError('AUDIT', `Audit '${audit}' expects something in '${name}', got an empty list`)
    if (type === 'list' || list.every((item) => fits('column', item))) return
  } else if (fits(type, text)) return
  throw new MillraceError(
    'AUDIT',
    `Audit '${audit}' expects '${name}' to be ${EXPECTED[type]}, got ${withoutComments(text)}`,
  )
}

function fits(type: ParameterType, text: string): boolean {
  const tokens = tokenize(text).filter((token) => token.type !== 'comment')
  const [first, ...more] = tokens
  if (first === undefined) return false
  const only = more.length === 0 ? first : null
  if (type === 'boolean') return isToken(first, 'TRUE') || isToken(first, 'FALSE') ? only !== null : false
  if (type === 'column') return only?.type !== 'number' && !isNull(text)
  if (type === 'number') return only === null || only.type === 'number' || only.type === 'word'
  if (type === 'relation') return relationParts(text) !== null
  return true
}

/** The parts of `a.b."c"`; a string holds such a name. Null for anything else. */
function relationParts(text: string): string[] | null {
  const tokens = tokenize(text).filter((token) => token.type !== 'comment')
  const [first] = tokens
  if (tokens.length === 1 && first?.type === 'string')
    return first.value.includes("'") ? null : relationParts(first.value)
  const isName = tokens.length % 2 === 1 && tokens.length <= 5
  const fitting = tokens.every((token, index) =>
    index % 2 === 1 ? isToken(token, '.') : token.type === 'word' || token.type === 'quoted',
  )
  return isName && fitting ? tokens.filter((_, index) => index % 2 === 0).map(({ text: part }) => part) : null
}

/** SQL of a `relation` argument. */
export function relation(args: AuditArguments, name: string): string {
  return (relationParts(args[name] ?? '') ?? []).join('.')
}

/** SQL of a `column` argument; a string names the column. */
export function column(args: AuditArguments, name = 'column'): string {
  return toColumn(args[name] ?? '')
}

export function columns(args: AuditArguments): string[] {
  return parseList(args['columns'] ?? '').map(toColumn)
}

export function list(args: AuditArguments, name: string): string[] {
  return parseList(args[name] ?? '')
}

/** In parentheses, so that what surrounds it takes no part of it. */
export function expression(args: AuditArguments, name: string, fallback = 'NULL'): string {
  return `(${args[name] ?? fallback})`
}

/** Rows of `from` for which `bad` is true, those aside that `condition` leaves out. */
export function selectBad(from: string, bad: string, { condition }: AuditArguments): string {
  return `SELECT * FROM ${from} WHERE (${bad})${condition === undefined ? '' : ` AND (${condition})`}`
}

/** ` WHERE …`, or nothing. */
export function where({ condition }: AuditArguments): string {
  return condition === undefined ? '' : ` WHERE (${condition})`
}

export function anyOf(conditions: readonly string[]): string {
  return conditions.join(' OR ')
}

export const RANGE_PARAMETERS = { min_v: 'sql', max_v: 'sql', inclusive: 'boolean', condition: 'sql' } as const

/** Whether `value` lies outside `min_v` … `max_v`, which belong to the range unless `inclusive` is FALSE. */
export function outsideRange(value: string, args: AuditArguments): string {
  const inclusive = withoutComments(args['inclusive'] ?? 'TRUE').toUpperCase() === 'TRUE'
  const [below, above] = inclusive ? ['<', '>'] : ['<=', '>=']
  const { min_v: min, max_v: max } = args
  return anyOf([
    ...(isGiven(min) ? [`${value} ${below} (${min})`] : []),
    ...(isGiven(max) ? [`${value} ${above} (${max})`] : []),
  ])
}

/** A bound that is NULL is none. */
export function isGiven(text: string | undefined): text is string {
  return text !== undefined && !isNull(text)
}

function isNull(text: string): boolean {
  return withoutComments(text).toUpperCase() === 'NULL'
}
