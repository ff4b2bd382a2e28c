/** Kinds that merge into their table, on a real DuckDB, against models of a few lines. */
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ModelKind } from '../../../src/project/model.ts'
import { kindWrite } from '../../../src/sql/kinds/index.ts'
import type { KindInput } from '../../../src/sql/kinds/kind-write.ts'

let instance: DuckDBInstance
let connection: DuckDBConnection

beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:')
  connection = await instance.connect()
})

afterAll(() => {
  connection.closeSync()
  instance.closeSync()
})

type Value = number | null
/** Columns a, b and v. */
type Row = readonly [Value, Value, Value]

const TABLE = { catalog: null, schema: 'main', name: 't' }
const COLUMNS = ['a', 'b', 'v'].map((name) => ({ name, type: 'INTEGER' }))

async function emptyTable(columns = 'a INTEGER, b INTEGER, v INTEGER'): Promise<void> {
  await connection.run(`CREATE OR REPLACE TABLE t (${columns})`)
}

/** One step: writes a batch. @returns what is measured of it. */
async function write(kind: ModelKind, query: string, options: Partial<KindInput> = {}): Promise<unknown> {
  const input = {
    kind,
    table: TABLE,
    columns: COLUMNS,
    partitionedBy: [],
    query,
    staged: false,
    interval: [0, 1] as const,
    executionMs: 0,
    isFirstLoad: 'FALSE',
  }
  const { statements, measured, cleanup } = kindWrite({ ...input, ...options })
  for (const statement of statements) await connection.run(statement)
  const [row] = await rows(`SELECT CAST(${measured ?? 'NULL'} AS VARCHAR)`)
  for (const statement of cleanup) await connection.run(statement)
  return JSON.parse(String(row?.[0]))
}

async function rows(sql: string): Promise<unknown[][]> {
  const reader = await connection.runAndReadAll(sql)
  return reader.getRowsJson()
}

/** Columns stand in another order than the table's. */
function queryOf(batch: readonly Row[]): string {
  const values = batch.map(([a, b, v]) => `(${[v, a, b].map((value) => value ?? 'NULL').join(', ')})`)
  if (values.length === 0) return 'SELECT 1 AS v, 1 AS a, 1 AS b LIMIT 0'
  return `SELECT v::INTEGER AS v, a::INTEGER AS a, b::INTEGER AS b FROM (VALUES ${values.join(', ')}) AS x(v, a, b)`
}

async function tableRows(): Promise<unknown[][]> {
  return (await rows('SELECT a, b, v FROM t')).sort(byText)
}

function byText(a: unknown, b: unknown): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1
}

const value = fc.option(fc.integer({ min: 0, max: 2 }), { nil: null })
const batches = fc.array(fc.array(fc.tuple(value, value, value), { maxLength: 8 }), { minLength: 1, maxLength: 4 })

/** The row that sorts last over all columns, NULL before every value. */
function last(a: Row, b: Row): Row {
  const difference = a.map((one, at) => (one ?? -1) - (b[at] ?? -1)).find((by) => by !== 0) ?? 0
  return difference < 0 ? b : a
}

describe('INCREMENTAL_BY_UNIQUE_KEY', () => {
  const kind: ModelKind = { name: 'INCREMENTAL_BY_UNIQUE_KEY', unique_key: ['a', 'b'] }

  test('holds the latest row of each key, whatever the batches and their order', async () => {
    await fc.assert(
      fc.asyncProperty(batches, async (loads) => {
        await emptyTable()
        const expected = new Map<string, Row>()
        for (const batch of loads) {
          const own = new Map<string, Row>()
          for (const row of batch) {
            const key = JSON.stringify([row[0], row[1]])
            own.set(key, last(row, own.get(key) ?? row))
          }
          for (const [key, row] of own) expected.set(key, row)
          const measured = await write(kind, queryOf(batch))
          expect(measured).toEqual({ rows: own.size, rowsDuplicate: batch.length - own.size })
        }
        expect(await tableRows()).toEqual([...expected.values()].sort(byText))
      }),
      { numRuns: 60 },
    )
  })

  test('(x, NULL) and (NULL, x) are two keys, and a NULL key is one', async () => {
    await emptyTable()
    const batch: Row[] = [[1, null, 1], [null, 1, 2], [null, null, 3]] // prettier-ignore
    await write(kind, queryOf(batch))
    await write(kind, queryOf(batch.map(([a, b]) => [a, b, 9])))
    expect(await tableRows()).toEqual(
      [
        [1, null, 9],
        [null, 1, 9],
        [null, null, 9],
      ].sort(byText),
    )
  })

  test('a key may be an expression', async () => {
    await emptyTable('a VARCHAR, b INTEGER, v INTEGER')
    const lower: ModelKind = { name: 'INCREMENTAL_BY_UNIQUE_KEY', unique_key: ['lower(a)', 'coalesce(b, 0)'] }
    await write(lower, `SELECT 'X' AS a, NULL::INTEGER AS b, 1 AS v`)
    await write(lower, `SELECT 'x' AS a, 0 AS b, 2 AS v UNION ALL SELECT 'y', 0, 3`)
    expect(await rows('SELECT a, b, v FROM t ORDER BY ALL')).toEqual([
      ['x', 0, 2],
      ['y', 0, 3],
    ])
  })

  test.each([
    [
      '(WHEN MATCHED AND source.v > target.v THEN UPDATE SET target.v = source.v, target.b = target.b + 1)',
      [
        [1, 1, 9],
        [2, 0, 5],
        [3, 0, 1],
      ],
    ],
    [
      'WHEN MATCHED AND __MERGE_SOURCE__.v > 8 THEN DELETE WHEN MATCHED THEN UPDATE SET __MERGE_TARGET__.v = -1',
      [
        [2, 0, -1],
        [3, 0, 1],
      ],
    ],
    [
      'WHEN MATCHED THEN UPDATE SET target.v = CASE WHEN source.v > 8 THEN greatest(source.v, 10) ELSE target.v END, b = source.b',
      [
        [1, 7, 10],
        [2, 7, 5],
        [3, 0, 1],
      ],
    ],
    [
      'WHEN MATCHED AND "source"."v" = 9 THEN UPDATE SET target.v = 90 WHEN MATCHED AND source.v = 4 THEN UPDATE SET target.v = 40',
      [
        [1, 0, 90],
        [2, 0, 40],
        [3, 0, 1],
      ],
    ],
  ])('when_matched: %s', async (when_matched, expected) => {
    await emptyTable()
    const merging: ModelKind = { name: 'INCREMENTAL_BY_UNIQUE_KEY', unique_key: ['a'], when_matched }
    await write(
      merging,
      queryOf([
        [1, 0, 5],
        [2, 0, 5],
      ]),
    )
    await write(
      merging,
      queryOf([
        [1, 7, 9],
        [2, 7, 4],
        [3, 0, 1],
      ]),
    )
    expect(await tableRows()).toEqual(expected)
  })

  test('merge_filter is a part of what matches', async () => {
    await emptyTable()
    const merge_filter = 'target.v > 2 AND source.b = 0'
    const merging: ModelKind = { name: 'INCREMENTAL_BY_UNIQUE_KEY', unique_key: ['a'], merge_filter }
    await write(
      merging,
      queryOf([
        [1, 0, 5],
        [2, 0, 1],
      ]),
    )
    await write(
      merging,
      queryOf([
        [1, 0, 6],
        [2, 0, 6],
      ]),
    )
    expect(await tableRows()).toEqual([
      [1, 0, 6],
      [2, 0, 1],
      [2, 0, 6],
    ])
  })

  test('a table may have columns called source and target, and any type orders', async () => {
    const types = `a INTEGER, source VARCHAR, "target" STRUCT(x INTEGER), m MAP(VARCHAR, INTEGER), u UNION(n INTEGER, s VARCHAR),
      j JSON, bits BIT, span INTERVAL, list INTEGER[], bytes BLOB`
    await emptyTable(types)
    const columns = (await rows('DESCRIBE t')).map(([name, type]) => ({ name: String(name), type: String(type) }))
    const query = `SELECT 1 AS a, 's' || n AS source, {'x': n} AS "target", MAP {'k': n} AS m, union_value(n := n)::UNION(n INTEGER, s VARCHAR) AS u,
      to_json(n) AS j, n::INTEGER::BIT AS bits, to_days(n) AS span, [n] AS list, ('b' || n)::BLOB AS bytes FROM range(3) AS r(i), (SELECT i::INTEGER AS n)`
    const byA: ModelKind = { name: 'INCREMENTAL_BY_UNIQUE_KEY', unique_key: ['a'] }
    await write(byA, query, { columns })
    expect(await write(byA, query, { columns })).toEqual({ rows: 1, rowsDuplicate: 2 })
    expect(await rows('SELECT source, "target".x, list FROM t')).toEqual([['s2', 2, [2]]])
  })
})

describe('partitions', () => {
  const kinds: ModelKind[] = [
    { name: 'INCREMENTAL_BY_PARTITION' },
    { name: 'INCREMENTAL_UNMANAGED', insert_overwrite: true },
  ]

  test.each(kinds)('$name: those of a batch are replaced, that of NULL too', async (kind) => {
    await fc.assert(
      fc.asyncProperty(batches, async (loads) => {
        await emptyTable()
        let expected: Row[] = []
        for (const batch of loads) {
          const partitions = new Set(batch.map(partition))
          expected = [...expected.filter((row) => !partitions.has(partition(row))), ...batch]
          const measured = await write(kind, queryOf(batch), { partitionedBy: ['a', 'coalesce(b, -1) % 2'] })
          expect(measured).toEqual({ rows: batch.length })
        }
        expect(await tableRows()).toEqual([...expected].sort(byText))
      }),
      { numRuns: 40 },
    )
  })

  function partition([a, b]: Row): string {
    return JSON.stringify([a, (b ?? -1) % 2])
  }
})

test('INCREMENTAL_UNMANAGED appends', async () => {
  await emptyTable()
  const kind: ModelKind = { name: 'INCREMENTAL_UNMANAGED' }
  expect(await write(kind, queryOf([[1, 2, 3]]))).toEqual({ rows: 1 })
  expect(
    await write(
      kind,
      queryOf([
        [1, 2, 3],
        [4, 5, 6],
      ]),
    ),
  ).toEqual({ rows: 2 })
  expect(await tableRows()).toEqual([
    [1, 2, 3],
    [1, 2, 3],
    [4, 5, 6],
  ])
})

describe('columns', () => {
  const kinds: [ModelKind, Partial<KindInput>][] = [
    [{ name: 'INCREMENTAL_UNMANAGED' }, {}],
    [{ name: 'INCREMENTAL_BY_PARTITION' }, { partitionedBy: ['a'] }],
    [{ name: 'INCREMENTAL_BY_UNIQUE_KEY', unique_key: ['a'] }, {}],
  ]
  test.each(kinds)('one that only the query or only the table has is an error: $name', async (kind, options) => {
    await emptyTable()
    await expect(write(kind, 'SELECT 1 AS a, 2 AS b', options)).rejects.toThrow('Binder Error')
    await expect(write(kind, 'SELECT 1 AS a, 2 AS b, 3 AS v, 4 AS w', options)).rejects.toThrow('Binder Error')
    expect(await tableRows()).toEqual([])
  })
})

test('nothing is written when nothing is due', async () => {
  for (const name of ['INCREMENTAL_BY_UNIQUE_KEY', 'INCREMENTAL_BY_PARTITION', 'INCREMENTAL_UNMANAGED'] as const) {
    await emptyTable()
    expect(await write({ name, unique_key: ['a'] }, queryOf([[1, 2, 3]]), { interval: null })).toEqual({ rows: 0 })
    expect(await tableRows()).toEqual([])
  }
})
