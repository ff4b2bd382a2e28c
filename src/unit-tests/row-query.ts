/** Where a test's rows come from → a query for them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Lease } from '../connections/lease.ts'
import { MillraceError, nearest } from '../errors.ts'
import type { RowSource, TestRow } from '../project/unit-tests/unit-test.ts'
import { quoteIdentifier } from '../sql/identifiers.ts'
import { seedColumnsQuery, seedQuery, type SeedColumn } from '../sql/seed.ts'
import { emptyQuery, type ColumnTypes } from './column-types.ts'
import { toLiteral, typeOfColumn } from './literal.ts'

export interface InputQueryOptions {
  lease: Pick<Lease, 'rows'>
  /** Of the model or table that the rows are of; null where nobody knows its columns. */
  known: ColumnTypes | null
  /** Types that the test gives. */
  given: ColumnTypes
  /** For messages: what the rows are of. */
  name: string
}

/** A query for an input's rows: columns that they leave out are NULL. @throws MillraceError TEST for columns that are not known. */
export async function inputQuery(source: RowSource, options: InputQueryOptions): Promise<string> {
  const types = { ...options.known, ...options.given }
  if (source.type === 'rows') return listQuery(source.rows, types, options)
  const query = source.type === 'query' ? source.sql : await csvQuery(source, options.lease)
  const columns = await columnNames(query, options.lease)
  const list = Object.entries(types).map(([name, type]) => {
    const quoted = quoteIdentifier(name)
    return `CAST(${columns.includes(name) ? quoted : 'NULL'} AS ${type}) AS ${quoted}`
  })
  const untyped = columns.filter((name) => !(name in types)).map(quoteIdentifier)
  return `SELECT ${[...list, ...untyped].join(', ')} FROM (\n${query}\n) AS given`
}

/** The columns of a query, in lower case. */
export async function columnNames(query: string, lease: Pick<Lease, 'rows'>): Promise<string[]> {
  const rows = await lease.rows<{ column_name: string }>(`DESCRIBE ${query}`)
  return rows.map((row) => row.column_name.toLowerCase())
}

function listQuery(rows: readonly TestRow[], types: ColumnTypes, { known, name }: InputQueryOptions): string {
  const named = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  if (known !== null) assertKnown(named, Object.keys(types), name)
  const columns = [...new Set([...Object.keys(types), ...named])]
  if (columns.length === 0) {
    throw new MillraceError('TEST', `expected the columns of '${name}' to be known: it has no rows`, {
      hint: 'give them: `columns: {name: TYPE}` beside `rows: []`, or in external_models.yaml or the model',
    })
  }
  const typed = columns.map((column) => ({ column, type: types[column] ?? typeOfColumn(rows, column) }))
  const first = rows[0]
  if (first === undefined)
    return emptyQuery(Object.fromEntries(typed.map(({ column, type }) => [column, type ?? 'VARCHAR'])))
  const cell = (row: TestRow, column: string, type: string | null): string => {
    const literal = toLiteral(row[column] ?? null, type)
    return type === null ? literal : `CAST(${literal} AS ${type})`
  }
  const values = rows.map((row) => `(${typed.map(({ column, type }) => cell(row, column, type)).join(', ')})`)
  return `SELECT * FROM (VALUES\n${values.join(',\n')}\n) AS given(${columns.map(quoteIdentifier).join(', ')})`
}

/** @throws MillraceError TEST */
export function assertKnown(named: readonly string[], known: readonly string[], what: string): void {
  const unknown = named.find((column) => !known.includes(column))
  if (unknown === undefined) return
  const near = nearest(unknown, known)
  throw new MillraceError(
    'TEST',
    `expected columns of '${what}' (${known.join(', ')}); got '${unknown}'`,
    near === null ? {} : { hint: `Did you mean '${near}'?` },
  )
}

/** CSV as pandas reads it, in a file where the test has it as text. */
export async function csvQuery(
  source: Extract<RowSource, { type: 'csv' }>,
  lease: Pick<Lease, 'rows'>,
): Promise<string> {
  const { path, text, settings } = source
  if (path !== null) return csvFileQuery(path, settings, lease)
  const folder = await mkdtemp(join(tmpdir(), 'millrace-test-'))
  try {
    const file = join(folder, 'rows.csv')
    await writeFile(file, text ?? '')
    const query = await csvFileQuery(file, settings, lease)
    const rows = await lease.rows<Record<string, string | null>>(`SELECT COLUMNS(*)::VARCHAR FROM (${query})`)
    const columns = await lease.rows<SeedColumn>(seedColumnsQuery(file, settings))
    return listQuery(rows, Object.fromEntries(columns.map(({ name, type }) => [name.toLowerCase(), type])), {
      lease,
      known: null,
      given: {},
      name: 'CSV',
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function csvFileQuery(
  path: string,
  settings: Record<string, string | boolean>,
  lease: Pick<Lease, 'rows'>,
): Promise<string> {
  const columns = await lease.rows<SeedColumn>(seedColumnsQuery(path, settings))
  return seedQuery(path, settings, columns)
}
