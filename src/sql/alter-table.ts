/** How the columns of a table and those of a query differ, and the statements that make the table fit. Pure. */
import type { RelationName } from '../project/model.ts'
import { quoteIdentifier, quoteRelation } from './identifiers.ts'

/** As DuckDB reports it. */
export interface Column {
  name: string
  type: string
}

export type ColumnChange =
  | { change: 'added'; column: string; type: string }
  | { change: 'dropped'; column: string }
  | { change: 'widened' | 'narrowed'; column: string; from: string; type: string }

/** What must happen to a table with the columns `table` so that it has those of `query`; a change of order is none. */
export function columnChanges(table: readonly Column[], query: readonly Column[]): ColumnChange[] {
  const before = new Map(table.map((column) => [column.name.toLowerCase(), column]))
  const after = new Map(query.map((column) => [column.name.toLowerCase(), column]))
  const changes: ColumnChange[] = []
  for (const [key, { name }] of before) {
    if (!after.has(key)) changes.push({ change: 'dropped', column: name })
  }
  for (const [key, { name, type }] of after) {
    const column = before.get(key)
    if (column === undefined) changes.push({ change: 'added', column: name, type })
    else if (!isSameType(column.type, type)) {
      const change = isWidening(column.type, type) ? 'widened' : 'narrowed'
      changes.push({ change, column: column.name, from: column.type, type })
    }
  }
  return changes
}

/** Something that the table holds may be lost. */
export function isDestructive({ change }: ColumnChange): boolean {
  return change === 'dropped' || change === 'narrowed'
}

/** A value that the new type cannot hold fails the statement. */
export function alterTable(table: RelationName, change: ColumnChange): string {
  const column = quoteIdentifier(change.column)
  const alter = `ALTER TABLE ${quoteRelation(table)}`
  if (change.change === 'added') return `${alter} ADD COLUMN ${column} ${change.type}`
  if (change.change === 'dropped') return `${alter} DROP COLUMN ${column}`
  return `${alter} ALTER COLUMN ${column} SET DATA TYPE ${change.type}`
}

/** For messages, e.g. `drops 'a', changes 'b' from BIGINT to INTEGER`. */
export function describeChange(change: ColumnChange): string {
  if (change.change === 'added') return `adds '${change.column}' ${change.type}`
  if (change.change === 'dropped') return `drops '${change.column}'`
  return `changes '${change.column}' from ${change.from} to ${change.type}`
}

function isSameType(from: string, to: string): boolean {
  return from.toUpperCase() === to.toUpperCase()
}

/** Each type holds every value of those before it in its row. */
const ORDERS: readonly (readonly string[])[] = [
  ['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT', 'HUGEINT'],
  ['UTINYINT', 'USMALLINT', 'UINTEGER', 'UBIGINT', 'UHUGEINT'],
  ['UTINYINT', 'SMALLINT'],
  ['USMALLINT', 'INTEGER'],
  ['UINTEGER', 'BIGINT'],
  ['UBIGINT', 'HUGEINT'],
  ['TINYINT', 'SMALLINT', 'FLOAT', 'DOUBLE'],
  ['UTINYINT', 'USMALLINT', 'FLOAT'],
  ['INTEGER', 'DOUBLE'],
  ['UINTEGER', 'DOUBLE'],
  ['TIMESTAMP_S', 'TIMESTAMP_MS', 'TIMESTAMP'],
  ['DATE', 'TIMESTAMP'],
]

/** Decimal digits that a whole number of the type may have. */
const DIGITS: Readonly<Record<string, number>> = {
  TINYINT: 3,
  UTINYINT: 3,
  SMALLINT: 5,
  USMALLINT: 5,
  INTEGER: 10,
  UINTEGER: 10,
  BIGINT: 19,
  UBIGINT: 20,
}

function isWidening(from: string, to: string): boolean {
  const [narrow, wide] = [from.toUpperCase(), to.toUpperCase()]
  // Whatever has a text can be read as one again.
  if (wide === 'VARCHAR') return true
  const decimal = decimalOf(wide)
  const whole = decimal === null ? 0 : decimal.precision - decimal.scale
  const digits = DIGITS[narrow]
  if (decimal !== null && digits !== undefined) return whole >= digits
  const before = decimalOf(narrow)
  if (decimal !== null && before !== null) {
    return decimal.scale >= before.scale && whole >= before.precision - before.scale
  }
  return isAbove(narrow, wide, new Set())
}

/** Through as many rows as it takes. */
function isAbove(narrow: string, wide: string, seen: Set<string>): boolean {
  if (narrow === wide) return true
  if (seen.has(narrow)) return false
  seen.add(narrow)
  return ORDERS.some((order) => {
    const next = order[order.indexOf(narrow) + 1]
    return order.includes(narrow) && next !== undefined && isAbove(next, wide, seen)
  })
}

function decimalOf(type: string): { precision: number; scale: number } | null {
  const [, precision, scale] = /^DECIMAL\((\d+),\s*(\d+)\)$/.exec(type) ?? []
  return precision === undefined ? null : { precision: Number(precision), scale: Number(scale) }
}
