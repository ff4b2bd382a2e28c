/** Histories against a slow model of what they mean, with DuckDB; and against what SQLMesh leaves for the same three days. */
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import * as fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Model } from '../../../src/project/model.ts'
import { parseModelFile } from '../../../src/project/parse-model.ts'
import { quoteString } from '../../../src/sql/identifiers.ts'
import { createEmptyTable, createTypedTable, typedQuery } from '../../../src/sql/materialize.ts'
import { historyColumns, historyQuery } from '../../../src/sql/kinds/scd-columns.ts'
import { writeHistory } from '../../../src/sql/kinds/scd.ts'
import { EPOCH, nextHistory, type HistoryRow, type HistoryRules, type SourceRow } from './history-model.ts'

let instance: DuckDBInstance
let connection: DuckDBConnection

beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:')
  connection = await instance.connect()
  await connection.run("SET TimeZone = 'UTC'")
  await connection.run('CREATE SCHEMA raw')
})
afterAll(() => {
  connection.closeSync()
  instance.closeSync()
})

/** A history that is kept day by day in a table of its own. */
interface History {
  /** @returns what the step measures. */
  load(at: string): Promise<Record<string, number>>
  /** Statements of the step that change what is in the table. */
  changedRows(at: string): Promise<number>
  rows(columns?: string): Promise<(string | null)[][]>
}

const TABLE = { catalog: null, schema: null, name: 'history' }

async function openHistory(source: string): Promise<History> {
  const model = parseScd(source)
  const query = typedQuery(model.query?.text ?? '', model.columns)
  await connection.run('DROP TABLE IF EXISTS history')
  await connection.run(
    model.columns === null
      ? createEmptyTable(TABLE, historyQuery(model.kind, query))
      : createTypedTable(TABLE, historyColumns(model.kind, model.columns)),
  )
  const columns = (await all(`SELECT column_name, column_type FROM (DESCRIBE history)`)).map(([name, type]) => {
    return { name: name ?? '', type: type ?? '' }
  })
  let loads = 0
  const run = async (at: string): Promise<{ measured: Record<string, number>; changed: number }> => {
    const { statements, measured, cleanup } = writeHistory({
      kind: model.kind,
      table: TABLE,
      columns,
      partitionedBy: [],
      query,
      staged: false,
      interval: [0, 1],
      executionMs: Date.parse(`${at}Z`),
      isFirstLoad: loads === 0 ? 'TRUE' : 'FALSE',
    })
    loads += 1
    let changed = 0
    for (const sql of statements) {
      const { rowsChanged } = await connection.runAndReadAll(sql)
      if (/^(UPDATE|INSERT)/.test(sql)) changed += rowsChanged
    }
    const [[json]] = (await all(`SELECT ${measured}`)) as [[string]]
    for (const sql of cleanup) await connection.run(sql)
    return { measured: JSON.parse(json) as Record<string, number>, changed }
  }
  return {
    load: async (at) => (await run(at)).measured,
    changedRows: async (at) => (await run(at)).changed,
    rows: (selected = '*') => all(`SELECT ${selected} FROM history ORDER BY ALL`),
  }
}

function parseScd(source: string): Model {
  const model = parseModelFile(source, {
    file: 'models/m.sql',
    defaults: {},
    defaultCatalog: 'memory',
    inferNames: false,
    timeColumnFormat: '%Y-%m-%d',
    variables: {},
  })
  if (model === null) throw new Error('the file holds a model')
  return model
}

/** Every value as text. */
async function all(sql: string): Promise<(string | null)[][]> {
  const reader = await connection.runAndReadAll(`SELECT COLUMNS(*)::VARCHAR FROM (${sql})`)
  return reader.getRowsJson() as (string | null)[][]
}

/** The source as it is on a day; each row `(id, part, status, note, updated_at)`. */
async function source(rows: readonly SourceRow[]): Promise<void> {
  await connection.run(
    'CREATE OR REPLACE TABLE raw.cust (id VARCHAR, part VARCHAR, status VARCHAR, note VARCHAR, updated_at TIMESTAMP)',
  )
  if (rows.length === 0) return
  const values = rows.map((row) => `(${Object.values(row).map(literal).join(', ')})`)
  await connection.run(`INSERT INTO raw.cust VALUES ${values.join(', ')}`)
}

function literal(value: string | null): string {
  return value === null ? 'NULL' : quoteString(value)
}

function row(
  id: string | null,
  status: string | null,
  updatedAt: string | null = null,
  note: string | null = null,
): SourceRow {
  return { id, part: null, status, note, updated_at: updatedAt }
}

const BY_COLUMN = `MODEL (name k.m, kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns [status]));
SELECT id, status, note FROM raw.cust`
const BY_TIME = `MODEL (name k.m, kind SCD_TYPE_2_BY_TIME (unique_key id));
SELECT id, status, updated_at FROM raw.cust`

describe('the oracle', () => {
  const folder = new URL('../../oracles/kinds/', import.meta.url)
  const days = JSON.parse(readFileSync(new URL('expected.json', folder), 'utf8')) as {
    execution_time: string
    source_sql: string[]
    expected: Record<string, { columns: string[]; rows: (string | null)[][] }>
  }[]

  test.each(['scd_time', 'scd_time_del', 'scd_col', 'scd_col_del'])(
    '%s holds what SQLMesh leaves, each day',
    async (name) => {
      await connection.run('DROP SCHEMA raw CASCADE')
      const [first] = days
      for (const sql of first?.source_sql ?? []) await connection.run(sql)
      const history = await openHistory(readFileSync(new URL(`models/${name}.sql`, folder), 'utf8'))
      for (const [index, day] of days.entries()) {
        if (index > 0) for (const sql of day.source_sql) await connection.run(sql)
        await history.load(day.execution_time)
        const expected = day.expected[name]
        const columns = await all(`SELECT column_name || ' ' || column_type FROM (DESCRIBE history)`)
        expect(columns.flat()).toEqual(expected?.columns)
        // SQLMesh writes the note of the new row into the closed one, which did not have it. A closed row never changes.
        const rows = (expected?.rows ?? []).map((one) =>
          name === 'scd_col' && one[0] === '1' && one[1] === 'new' ? one.with(2, null) : one,
        )
        expect(sorted(await history.rows()), day.execution_time).toEqual(sorted(rows))
      }
    },
  )
})

function sorted(rows: (string | null)[][]): string[] {
  return rows.map((one) => JSON.stringify(one)).sort()
}

const ID = fc.constantFrom('a', 'b', 'A', null)
const TIME = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 1, max: 9 }).map((hour) => `2024-01-0${hour} 0${hour}:00:00`) },
  { weight: 1, arbitrary: fc.constant(null) },
)
const SOURCE_ROW: fc.Arbitrary<SourceRow> = fc.record({
  id: ID,
  part: fc.constantFrom('x', 'y', null),
  status: fc.constantFrom('new', 'old', null),
  note: fc.constantFrom('n', 'm', null),
  updated_at: TIME,
})
/** A day is what the one before left, with some rows gone and some added: most keys stay for a while. */
const DAYS = fc
  .array(fc.record({ kept: fc.integer({ min: 0, max: 7 }), added: fc.array(SOURCE_ROW, { maxLength: 4 }) }), {
    minLength: 2,
    maxLength: 6,
  })
  .map((days) => {
    let rows: SourceRow[] = []
    return days.map(({ kept, added }) => (rows = [...rows.slice(0, kept), ...added]))
  })
const RULES: fc.Arbitrary<HistoryRules> = fc.record({
  key: fc.constantFrom<HistoryRules['key'][]>(['id'], ['id', 'part']),
  checked: fc.constantFrom<HistoryRules['checked'][]>(
    null,
    ['status'],
    ['status', 'note'],
    ['id', 'part', 'status', 'note', 'updated_at'],
  ),
  deletes: fc.boolean(),
  ownStart: fc.boolean(),
  stamped: fc.boolean(),
})

function modelOf({ key, checked, deletes, ownStart, stamped }: HistoryRules): string {
  const options = [`unique_key (${key.join(', ')})`, `invalidate_hard_deletes ${deletes}`]
  if (checked === null) options.push(`updated_at_as_valid_from ${ownStart}`)
  else {
    options.push(`columns ${checked.length === 5 ? '*' : `[${checked.join(', ')}]`}`)
    options.push(`execution_time_as_valid_from ${ownStart}`)
    if (stamped) options.push('updated_at_name updated_at')
  }
  const kind = checked === null ? 'SCD_TYPE_2' : 'SCD_TYPE_2_BY_COLUMN'
  return `MODEL (name k.m, kind ${kind} (${options.join(', ')})); SELECT id, part, status, note, updated_at FROM raw.cust`
}

describe('any days', () => {
  test('leave the history that they mean, and an unchanged source changes nothing', async () => {
    await fc.assert(
      fc.asyncProperty(RULES, DAYS, async (rules, days) => {
        await source([])
        const history = await openHistory(modelOf(rules))
        let expected: HistoryRow[] = []
        for (const [index, batch] of days.entries()) {
          const now = `2024-01-${10 + index} 00:00:00`
          await source(batch)
          await history.load(now.replace(' ', 'T'))
          expected = nextHistory(expected, { batch, now, first: index === 0 }, rules)
          expect(sorted(await history.rows())).toEqual(
            sorted(expected.map((one) => Object.values(one) as (string | null)[])),
          )
          expect(await history.changedRows(`2024-02-0${index + 1}T00:00:00`)).toBe(0)
        }
      }),
      { numRuns: 25 },
    )
  })
})

test('keys are expressions, columns are checked as expressions', async () => {
  const history = await openHistory(
    `MODEL (name k.m, kind SCD_TYPE_2_BY_COLUMN (unique_key lower(id), columns [lower(status)]));
     SELECT id, status FROM raw.cust`,
  )
  await source([row('A', 'new')])
  await history.load('2024-01-01T00:00:00')
  await source([row('a', 'NEW')])
  await history.load('2024-01-02T00:00:00')
  expect(await history.rows()).toEqual([['A', 'new', EPOCH, null]])
  await source([row('a', 'old')])
  await history.load('2024-01-03T00:00:00')
  expect(await history.rows()).toEqual([
    ['A', 'new', EPOCH, '2024-01-03 00:00:00'],
    ['a', 'old', '2024-01-03 00:00:00', null],
  ])
})

test('the step counts the rows that it adds, and those that others of their key stand for', async () => {
  const history = await openHistory(BY_TIME)
  await source([row('1', 'b', '2024-01-01'), row('1', 'a', '2024-01-02'), row('2', 'c', '2024-01-01'), row('2', 'c')])
  expect(await history.load('2024-01-03T00:00:00')).toEqual({ rows: 2, rowsDuplicate: 2 })
  expect(await history.rows('id, status')).toEqual([
    ['1', 'a'],
    ['2', 'c'],
  ])
  await source([row('1', 'd', '2024-01-03'), row('2', 'c', '2024-01-01')])
  expect(await history.load('2024-01-04T00:00:00')).toEqual({ rows: 1, rowsDuplicate: 0 })
})

describe('where SQLMesh is wrong', () => {
  test('a row whose key is NULL is not added again by every run', async () => {
    const history = await openHistory(BY_COLUMN)
    await source([row(null, 'new')])
    await history.load('2024-01-01T00:00:00')
    await history.load('2024-01-02T00:00:00')
    expect(await history.rows()).toEqual([[null, 'new', null, EPOCH, null]])
  })

  test('a row that closes keeps its NULLs', async () => {
    const history = await openHistory(BY_COLUMN)
    await source([row('1', 'new')])
    await history.load('2024-01-01T00:00:00')
    await source([row('1', 'old', null, 'known later')])
    await history.load('2024-01-02T00:00:00')
    expect(await history.rows('note, valid_to')).toEqual([
      ['known later', null],
      [null, '2024-01-02 00:00:00'],
    ])
  })

  test('a deletion has no updated_at, and closes the row all the same', async () => {
    const history = await openHistory(
      `MODEL (name k.m, kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns [status], updated_at_name updated_at, invalidate_hard_deletes true));
       SELECT id, status, updated_at FROM raw.cust`,
    )
    await source([row('1', 'new', '2023-12-01 00:00:00')])
    await history.load('2024-01-01T00:00:00')
    await source([])
    await history.load('2024-01-02T00:00:00')
    expect(await history.rows('valid_from, valid_to')).toEqual([[EPOCH, '2024-01-02 00:00:00']])
  })

  test('a change with no updated_at leaves one open row', async () => {
    const history = await openHistory(
      `MODEL (name k.m, kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns [status], updated_at_name updated_at));
       SELECT id, status, updated_at FROM raw.cust`,
    )
    await source([row('1', 'new')])
    await history.load('2024-01-01T00:00:00')
    await source([row('1', 'old')])
    await history.load('2024-01-02T00:00:00')
    expect(await history.rows('status, valid_from, valid_to')).toEqual([
      ['new', EPOCH, '2024-01-02 00:00:00'],
      ['old', '2024-01-02 00:00:00', null],
    ])
  })
})

describe('columns', () => {
  test.each([
    ['DATE', ['1970-01-01', '2024-01-02']],
    ['TIMESTAMP WITH TIME ZONE', ['1970-01-01 00:00:00+00', '2024-01-02 03:04:05.006+00']],
  ])('the validity is of the type %s that the kind says, under the names it says', async (type, times) => {
    const history = await openHistory(
      `MODEL (name k.m, kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns *, time_data_type ${type}, valid_from_name since, valid_to_name until));
       SELECT id, status FROM raw.cust`,
    )
    await source([row('1', 'new')])
    await history.load('2024-01-01T00:00:00')
    await source([row('1', 'old')])
    await history.load('2024-01-02T03:04:05.006')
    expect((await all('SELECT column_type FROM (DESCRIBE history)')).flat()).toEqual(['VARCHAR', 'VARCHAR', type, type])
    expect(await history.rows('since, until')).toEqual([
      [times[0] ?? '', times[1] ?? ''],
      [times[1] ?? '', null],
    ])
  })

  test('may be called like what the statements speak of', async () => {
    const names = ['open', 'source', 'closed', 'change', 'typed', 'ended', 'arrived', 'since', 'until', 'value']
    for (const kind of [
      'SCD_TYPE_2 (unique_key source',
      `SCD_TYPE_2_BY_COLUMN (columns [${names.join(', ')}], unique_key source`,
    ]) {
      const selected = names.map((name) => (name === 'source' ? 'id AS source' : `status AS ${name}`)).join(', ')
      const history = await openHistory(
        `MODEL (name k.m, kind ${kind}, invalidate_hard_deletes true)); SELECT ${selected}, updated_at FROM raw.cust`,
      )
      await source([row('1', 'new', '2024-01-01 00:00:00'), row('2', null, '2024-01-01 00:00:00')])
      await history.load('2024-01-01T00:00:00')
      await source([row('1', 'old', '2024-01-02 00:00:00')])
      await history.load('2024-01-02T00:00:00')
      expect(await history.rows('source, open, until, valid_from, valid_to'), kind).toEqual([
        ['1', 'new', 'new', EPOCH, '2024-01-02 00:00:00'],
        ['1', 'old', 'old', '2024-01-02 00:00:00', null],
        ['2', null, null, EPOCH, '2024-01-02 00:00:00'],
      ])
    }
  })

  test('a query that returns valid_from and valid_to itself is not asked for them', async () => {
    const history = await openHistory(
      `MODEL (name k.m, kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns *));
       SELECT NULL::DATE AS Valid_From, id, status FROM raw.cust`,
    )
    await source([row('1', 'new')])
    await history.load('2024-01-01T00:00:00')
    expect(await history.rows()).toEqual([['1', 'new', EPOCH, null]])
  })

  test('a declared updated_at has the type of the validity', () => {
    const { kind, columns } = parseScd(
      `MODEL (name k.m, kind SCD_TYPE_2 (unique_key id, time_data_type TIMESTAMPTZ), columns (id INT, updated_at DATE)); SELECT 1`,
    )
    expect(historyColumns(kind, columns ?? {})).toEqual({
      id: 'INT',
      updated_at: 'TIMESTAMPTZ',
      valid_from: 'TIMESTAMPTZ',
      valid_to: 'TIMESTAMPTZ',
    })
  })
})
