/** The rows a query gave and those a test expects, in one form: the expected ones as the query's types write them. */
import type { Lease } from '../connections/lease.ts'
import { PlainTime, type TestOutput, type TestRow, type TestValue } from '../project/unit-tests/unit-test.ts'
import { quoteIdentifier } from '../sql/identifiers.ts'
import type { Cell, ComparedColumn } from './compare-rows.ts'
import { toLiteral } from './literal.ts'
import { assertKnown, columnNames, csvQuery } from './row-query.ts'

type Session = Pick<Lease, 'run' | 'rows'>

const ACTUAL = 'millrace_actual'

export interface ActualRows {
  /** As DuckDB has them, in the query's order. */
  columns: { name: string; type: string }[]
}

interface Column extends ComparedColumn {
  name: string
  /** What both sides are read as. */
  type: string
}

/** Keeps a query's rows, until the next query's. */
export async function readActual(sql: string, lease: Session): Promise<ActualRows> {
  await lease.run(`CREATE OR REPLACE TEMP TABLE ${ACTUAL} AS\n${sql}`)
  const rows = await lease.rows<{ column_name: string; column_type: string }>(`DESCRIBE ${ACTUAL}`)
  return { columns: rows.map((row) => ({ name: row.column_name, type: row.column_type })) }
}

/** Both sides, in the columns that are compared. @throws MillraceError TEST for expected columns that the query lacks. */
export async function expectedRows(
  { source, partial }: TestOutput,
  actual: ActualRows,
  { lease, name }: { lease: Session; name: string },
): Promise<{ columns: Column[]; expected: Cell[][]; rows: Cell[][] }> {
  const all = actual.columns.map((column) => column.name.toLowerCase())
  const query = source.type === 'rows' ? null : source.type === 'csv' ? await csvQuery(source, lease) : source.sql
  const named =
    source.type === 'rows'
      ? [...new Set(source.rows.flatMap((row) => Object.keys(row)))]
      : await columnNames(query ?? '', lease)
  assertKnown(named, all, name)
  const compared = actual.columns.filter(
    (column) => !partial || named.length === 0 || named.includes(column.name.toLowerCase()),
  )
  const rowsOf = source.type === 'rows' ? source.rows : []
  const columns = compared.map((column) => comparedColumn(column, rowsOf))
  const list = columns.map((column, at) => `CAST(${quoteIdentifier(column.name)} AS ${column.type}) AS c${at}`)
  const rows = await readCells(`SELECT ${list.join(', ')} FROM ${ACTUAL}`, columns, lease)
  const expected =
    source.type === 'rows'
      ? await castRows(source.rows, columns, lease)
      : await castQuery(query ?? '', named, columns, lease)
  return { columns, expected, rows }
}

/** Decimals and floating point are compared as numbers; whole numbers too, where a test expects a fraction. */
function comparedColumn({ name, type }: { name: string; type: string }, rows: readonly TestRow[]): Column {
  const key = name.toLowerCase()
  const isFraction = rows.some((row) => typeof row[key] === 'number' && !Number.isInteger(row[key]))
  const inexact = /^(DOUBLE|FLOAT|DECIMAL)/.test(type) && !type.endsWith(']')
  const whole = /^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/.test(type)
  return { name, inexact: inexact || (whole && isFraction), type: inexact || (whole && isFraction) ? 'DOUBLE' : type }
}

async function castRows(rows: readonly TestRow[], columns: readonly Column[], lease: Session): Promise<Cell[][]> {
  if (rows.length === 0) return []
  const values = rows.map((row) => {
    const cells = columns.map(
      ({ name, type }) => `TRY_CAST(${toLiteral(row[name.toLowerCase()] ?? null, type)} AS ${type})`,
    )
    return `(${cells.join(', ')})`
  })
  const names = columns.map((_, at) => `c${at}`)
  const cast = await readCells(
    `SELECT * FROM (VALUES\n${values.join(',\n')}\n) AS expected(${names.join(', ')})`,
    columns,
    lease,
  )
  return cast.map((row, index) =>
    row.map((cell, at) => {
      const { name = '', type = '' } = columns[at] ?? {}
      const value = rows[index]?.[name.toLowerCase()] ?? null
      return isCast(value, type, cell) ? cell : shownValue(value)
    }),
  )
}

/** A number is no text, and what could not be cast is nothing the query can have given. */
function isCast(value: TestValue, type: string, cell: Cell): boolean {
  if (type === 'VARCHAR' && ['number', 'bigint', 'boolean'].includes(typeof value)) return Number.isNaN(value)
  return value === null || Number.isNaN(value) || cell !== null
}

function shownValue(value: TestValue): Cell {
  if (value instanceof PlainTime) return value.text
  return typeof value === 'bigint' ? value.toString() : value
}

async function castQuery(
  query: string,
  named: readonly string[],
  columns: readonly Column[],
  lease: Session,
): Promise<Cell[][]> {
  const list = columns.map(({ name, type }, at) =>
    named.includes(name.toLowerCase())
      ? `TRY_CAST(${quoteIdentifier(name)} AS ${type}) AS c${at}`
      : `CAST(NULL AS ${type}) AS c${at}`,
  )
  return readCells(`SELECT ${list.join(', ')} FROM (\n${query}\n) AS expected`, columns, lease)
}

async function readCells(sql: string, columns: readonly Column[], lease: Session): Promise<Cell[][]> {
  const rows = await lease.rows<Record<string, Cell>>(sql)
  return rows.map((row) => columns.map(({ type }, at) => readCell(row[`c${at}`] ?? null, type)))
}

function readCell(cell: Cell, type: string): Cell {
  if (cell === 'NaN') return null
  if (type !== 'JSON' || typeof cell !== 'string') return cell
  // White space and the like make no other document.
  return JSON.parse(cell) as Cell
}
