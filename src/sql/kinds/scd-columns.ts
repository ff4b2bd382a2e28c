/** The columns of an SCD_TYPE_2 table: the query's, and from when to when each row held. Pure. */
import type { ModelKind } from '../../project/model.ts'
import { dateVariables } from '../date-variables.ts'
import { quoteIdentifier, quoteString } from '../identifiers.ts'

export interface Validity {
  from: string
  to: string
  /** Of both columns. */
  type: string
}

export function validityOf({ valid_from_name, valid_to_name, time_data_type }: ModelKind): Validity {
  return { from: valid_from_name ?? 'valid_from', to: valid_to_name ?? 'valid_to', type: time_data_type ?? 'TIMESTAMP' }
}

export function isHistory({ name }: ModelKind): boolean {
  return name.startsWith('SCD_TYPE_2')
}

/** Whether changes are found by comparing columns, and not by a time that each row says. */
export function isByColumn({ name }: ModelKind): boolean {
  return name === 'SCD_TYPE_2_BY_COLUMN'
}

/** The column that says when a row was changed, as written; null where nothing does. */
export function updatedAtOf(kind: ModelKind): string | null {
  return kind.updated_at_name ?? (isByColumn(kind) ? null : 'updated_at')
}

/** Declared columns → those of the table; a time by which rows are compared has the type of their validity. */
export function historyColumns(kind: ModelKind, declared: Readonly<Record<string, string>>): Record<string, string> {
  const { from, to, type } = validityOf(kind)
  const updatedAt = isByColumn(kind) ? null : updatedAtOf(kind)
  const types = Object.entries(declared).map(([name, own]) => [name, name === updatedAt ? type : own] as const)
  return { ...Object.fromEntries(types), [from]: type, [to]: type }
}

/** Declared columns → those that the query must return. */
export function queryColumns(kind: ModelKind, declared: Readonly<Record<string, string>>): Record<string, string> {
  const own = sourceColumns(
    kind,
    Object.entries(declared).map(([name, type]) => ({ name, type })),
  )
  return Object.fromEntries(own.map(({ name, type }) => [name, type]))
}

/** The columns of a table that come from its query: all, but for what a history keeps. */
export function sourceColumns<C extends { name: string }>(kind: ModelKind, columns: readonly C[]): C[] {
  const { from, to } = validityOf(kind)
  const kept = isHistory(kind) ? [from, to].map((name) => name.toLowerCase()) : []
  return columns.filter(({ name }) => !kept.includes(name.toLowerCase()))
}

/** A query whose columns are not declared → one with the table's columns. */
export function historyQuery(kind: ModelKind, query: string): string {
  const { from, to, type } = validityOf(kind)
  const kept = [from, to].map((name) => quoteString(name.toLowerCase())).join(', ')
  const added = [from, to].map((name) => `CAST(NULL AS ${type}) AS ${quoteIdentifier(name)}`).join(', ')
  return `SELECT COLUMNS(name -> lower(name) NOT IN (${kept})), ${added} FROM (\n${query}\n) AS query`
}

/** SQL of an instant in the type of the validity. */
export function instant(ms: number, type: string): string {
  const { execution_dtntz: plain, execution_dt: zoned } = dateVariables('execution', ms * 1000)
  return `CAST(${/TZ|WITH TIME ZONE/i.test(type) ? zoned : plain} AS ${type})`
}
