/** Values of user variables, and how they read in SQL. Pure. */
import { quoteString } from './identifiers.ts'

/** What `variables` of a configuration can hold. */
export type VariableValue = string | number | boolean | null | VariableValue[] | { [key: string]: VariableValue }

/** The value as a SQL literal; a list as a tuple `(1, 2)`, so that `IN @list` works; lists in it as `[1, 2]`. */
export function toSqlLiteral(value: VariableValue): string {
  if (Array.isArray(value)) return `(${value.map(toNestedLiteral).join(', ')})`
  // Bare, `2-@n` would become a comment and `@n::TEXT` would negate a text.
  if (typeof value === 'number' && value < 0) return `(${value})`
  return toNestedLiteral(value)
}

/** The same with a list as a DuckDB list `[1, 2]`. */
export function toNestedLiteral(value: VariableValue): string {
  if (value === null) return 'NULL'
  if (typeof value === 'string') return quoteString(value)
  if (typeof value === 'boolean') return value ? 'TRUE' : 'FALSE'
  if (typeof value === 'number') return String(value)
  if (Array.isArray(value)) return `[${value.map(toNestedLiteral).join(', ')}]`
  return `MAP(${toNestedLiteral(Object.keys(value))}, ${toNestedLiteral(Object.values(value))})`
}

/** The value inside a name or a string: a string's own characters, anything else as SQL. */
export function toPastedText(value: VariableValue): string {
  return typeof value === 'string' ? value : toNestedLiteral(value)
}
