/** Model → the statements that write it. Pure. */
import type { ModelKind, RelationName } from '../project/model.ts'
import { quoteIdentifier, quoteRelation, quoteString } from './identifiers.ts'

/** The temporary table that holds a step's rows before they are put into the model's. */
export const STAGE = 'millrace_stage'

/** The query with each declared column cast to its type, in declared order; the query itself where none are declared. */
export function typedQuery(query: string, columns: Record<string, string> | null): string {
  return columns === null ? query : `${selectCasts(columns)}\n${query}\n) AS typed`
}

/** The line that `typedQuery` puts before the query. */
export function selectCasts(columns: Record<string, string>): string {
  const casts = Object.entries(columns).map(([name, type]) => {
    const column = quoteIdentifier(name)
    return `CAST(${column} AS ${type}) AS ${column}`
  })
  return `SELECT ${casts.join(', ')} FROM (`
}

export function createTable(table: RelationName, query: string): string {
  return `CREATE OR REPLACE TABLE ${quoteRelation(table)} AS\n${query}`
}

export function createView(view: RelationName, query: string): string {
  return `CREATE OR REPLACE VIEW ${quoteRelation(view)} AS\n${query}`
}

/** The empty table of a query, kept when it is there already. */
export function createEmptyTable(table: RelationName, query: string): string {
  return `CREATE TABLE IF NOT EXISTS ${quoteRelation(table)} AS SELECT * FROM (\n${query}\n) AS empty LIMIT 0`
}

/** The empty table of declared columns, for a model that reads itself before it has rows. */
export function createTypedTable(table: RelationName, columns: Record<string, string>): string {
  const list = Object.entries(columns).map(([name, type]) => `${quoteIdentifier(name)} ${type}`)
  return `CREATE TABLE IF NOT EXISTS ${quoteRelation(table)} (${list.join(', ')})`
}

export function createStage(query: string): string {
  return `CREATE OR REPLACE TEMP TABLE ${STAGE} AS\n${query}`
}

export function deleteRange(table: RelationName, filter: string): string {
  return `DELETE FROM ${quoteRelation(table)} WHERE ${filter}`
}

/**
 * Columns are matched by name: an edit that only reorders a query's columns must not shuffle its table's. A column that only one of
 * the two has is an error, not a NULL.
 * @param filter of the rows; default all.
 */
export function insertStaged(table: RelationName, columns: readonly { name: string }[], filter?: string): string {
  const where = filter === undefined ? '' : ` WHERE ${filter}`
  return `INSERT INTO ${quoteRelation(table)} BY NAME ${selectStaged(columns)}${where}`
}

/** A statement that changes nothing, and fails unless the staged rows have exactly the table's columns. */
export function assertColumns(table: RelationName, columns: readonly { name: string }[]): string {
  return `INSERT INTO ${quoteRelation(table)} BY NAME ${selectStaged(columns)} LIMIT 0`
}

function selectStaged(columns: readonly { name: string }[]): string {
  const names = columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  return `SELECT ${names}, * EXCLUDE (${names}) FROM ${STAGE}`
}

/**
 * The condition that a row's time is within an interval, in the time column's own type:
 * dates and formatted text or numbers by their last value inside, timestamps half-open.
 * @param type of the time column, as DuckDB reports it.
 */
export function timeFilter(
  time: NonNullable<ModelKind['time_column']>,
  type: string,
  interval: readonly [number, number],
): string {
  const column = quoteIdentifier(time.column)
  const [start, end] = interval
  if (type.startsWith('TIMESTAMP')) {
    const cast = type.includes('ZONE') || type === 'TIMESTAMPTZ' ? 'TIMESTAMPTZ' : 'TIMESTAMP'
    const literal = (ms: number): string => `${cast} ${quoteString(isoTimestamp(ms, cast === 'TIMESTAMPTZ'))}`
    return `${column} >= ${literal(start)} AND ${column} < ${literal(end)}`
  }
  // The last microsecond inside: what is written coarser than that still falls into the interval it belongs to.
  const convert = timeConversion(time, type)
  return `${column} BETWEEN ${convert(instant(start))} AND ${convert(`${instant(end)} - INTERVAL 1 MICROSECOND`)}`
}

/** SQL that is true when the column's type and format write `ms` and the microsecond before it alike. */
export function timeEdgeIsBlurred(time: NonNullable<ModelKind['time_column']>, type: string, ms: number): string {
  if (type.startsWith('TIMESTAMP')) return 'FALSE'
  const convert = timeConversion(time, type)
  return `${convert(instant(ms))} = ${convert(`${instant(ms)} - INTERVAL 1 MICROSECOND`)}`
}

/** An instant as the column writes it: a date, or text or a number in the model's format. */
function timeConversion({ format }: NonNullable<ModelKind['time_column']>, type: string): (instant: string) => string {
  if (type === 'DATE') return (value) => `CAST(${value} AS DATE)`
  return (value) => `CAST(strftime(${value}, ${quoteString(format)}) AS ${type})`
}

function instant(ms: number): string {
  return `TIMESTAMP ${quoteString(isoTimestamp(ms, false))}`
}

function isoTimestamp(ms: number, zone: boolean): string {
  const text = new Date(ms).toISOString().replace('T', ' ').replace('Z', '')
  return zone ? `${text}+00:00` : text
}
