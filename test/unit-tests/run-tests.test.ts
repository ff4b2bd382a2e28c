import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseConnection } from '../../src/connections/config.ts'
import type { Lease } from '../../src/connections/lease.ts'
import { connectionRegistry, type Owner } from '../../src/connections/registry.ts'
import { loadProject } from '../../src/project/load.ts'
import { createSqlParser } from '../../src/project/sql-parser.ts'
import { loadUnitTests } from '../../src/project/unit-tests/load-tests.ts'
import { runTests, type TestRun } from '../../src/unit-tests/run-tests.ts'
import { createProject } from '../helpers/project.ts'

const parser = createSqlParser()
let owner: Owner
let lease: Lease

beforeAll(async () => {
  owner = connectionRegistry().attach('test')
  const config = parseConnection({ type: 'duckdb', database: ':memory:' }, { root: '/tmp', env: {} })
  lease = await connectionRegistry().lease(config, { holder: 'test' })
})

afterAll(async () => {
  await lease.release()
  await owner.detach()
  await parser.close()
})

async function run(files: Record<string, string>): Promise<TestRun> {
  const root = await createProject(files)
  const project = await loadProject(root, { env: { HOME: root }, parser })
  return runTests(await loadUnitTests(project), { project, parser, lease })
}

/** Status by test; what went wrong instead, where it could not run. */
function statuses({ tests }: TestRun): Record<string, string> {
  return Object.fromEntries(tests.map(({ name, status, error }) => [name, error?.message ?? status]))
}

const ORDERS = `MODEL (name s.orders, kind INCREMENTAL_BY_TIME_RANGE (time_column day));
SET this_would_fail = 1;
WITH paid AS (SELECT * FROM raw.orders WHERE state = @state), days AS (SELECT id, CAST(ts AS DATE) AS day, amount FROM paid)
SELECT day, COUNT(*) AS orders, SUM(amount) AS amount, CURRENT_DATE - day AS age
FROM days WHERE day BETWEEN @start_date AND @end_date GROUP BY day`

test('inputs are rows, queries, CSV or files; the query and its common table expressions are compared', async () => {
  const result = await run({
    'config.yaml': `gateways: { local: { connection: { type: duckdb } } }
model_defaults: { dialect: duckdb }
variables: { state: paid }`,
    'models/orders.sql': ORDERS,
    'tests/more/rows.csv': 'id;ts;state;amount\n1;2024-01-01 10:00:00;paid;2.5\n2;2024-01-03 10:00:00;paid;NA\n',
    'tests/more/rows.yaml': '- {id: 1, ts: 2024-01-01, state: paid, amount: 2.5}',
    'tests/test_orders.yaml': `
rows:
  model: '"memory"."s"."orders"'
  description: both days, and one that is not asked for
  inputs:
    raw.orders:
      - {id: 1, ts: 2024-01-01 10:00:00, state: paid, amount: 2.5}
      - {id: 2, ts: 2024-01-01, state: paid, amount: 1}
      - {id: 3, ts: 2024-01-02 23:59:59, state: paid}
      - {id: 4, ts: 2024-01-03, state: paid, amount: 1}
      - {id: 5, ts: 2024-01-01, state: open, amount: 9}
  outputs:
    ctes:
      paid: {partial: true, rows: [{id: 1}, {id: 2}, {id: 3}, {id: 4}]}
      days: [{id: 1, day: 2024-01-01, amount: 2.5}, {id: 2, day: 2024-01-01, amount: 1}, {id: 3, day: '2024-01-02'}, {id: 4, day: 2024-01-03, amount: 1}]
    query:
      - {day: 2024-01-02, orders: 1, amount: null, age: 31}
      - {day: 2024-01-01, orders: 2, amount: 3.5000001, age: 32}
  vars: {start: 2024-01-01, end: 2024-01-02, execution_time: '2024-02-02 01:00:00+00:00'}
open_ones:
  model: s.orders
  inputs: {raw.orders: {query: "SELECT 1 AS id, TIMESTAMP '2024-01-01' AS ts, 'open' AS state, 3 AS amount"}}
  outputs: {partial: true, query: [{day: 2024-01-01, amount: 3}]}
  vars: {start: 2024-01-01, end: 2024-01-02, STATE: open}
of_a_file:
  model: s.orders
  inputs: {raw.orders: {format: csv, path: tests/more/rows.csv, csv_settings: {sep: ;}, columns: {ts: TIMESTAMP}}}
  outputs: {query: {query: "SELECT DATE '2024-01-03' AS day, 1 AS orders UNION ALL SELECT '2024-01-01', 1", partial: true}}
  vars: {start: 2024-01-01, end: 2024-01-03}
of_yaml:
  model: s.orders
  inputs: {raw.orders: {path: more/rows.yaml}}
  outputs: {query: {format: csv, rows: "day,amount\\n2024-01-01,2.5\\n", partial: true}}
  vars: {start: 2024-01-01, end: 2024-01-03}
without_rows:
  model: s.orders
  inputs: {raw.orders: {rows: [], columns: {id: INT, ts: TIMESTAMP, state: TEXT, amount: INT}}}
  outputs: {query: []}
`,
  })
  expect(statuses(result)).toEqual({
    rows: 'pass',
    open_ones: 'pass',
    of_a_file: 'pass',
    of_yaml: 'pass',
    without_rows: 'pass',
  })
  expect(result).toMatchObject({ passed: 5, failed: 0 })
  expect(result.tests[0]).toMatchObject({ file: 'tests/test_orders.yaml', line: 2, model: 's.orders' })
})

test('columns have the types of the models and tables they are of, whether declared or not', async () => {
  const result = await run({
    'external_models.yaml': '- name: raw.events\n  columns: {id: BIGINT, tags: "VARCHAR[]", doc: JSON, ts: TIMESTAMP}',
    'seeds/s.csv': 'code,rate\nA,1.5\n',
    'models/seed.sql': "MODEL (name s.rates, kind SEED (path '../seeds/s.csv'));",
    'models/parent.sql': 'MODEL (name s.parent); SELECT id::SMALLINT AS id, tags, doc, ts FROM raw.events',
    'models/embedded.sql': 'MODEL (name s.inlined, kind EMBEDDED); SELECT id, tags FROM s.parent WHERE id > 1',
    'models/child.sql':
      "MODEL (name s.child); SELECT typeof(p.id) AS t, p.doc, p.ts, r.rate, i.tags FROM s.parent p LEFT JOIN s.rates r ON r.code = 'A' LEFT JOIN s.inlined i USING (id)",
    'models/self.sql':
      'MODEL (name s.self, kind FULL, columns (n INT)); SELECT COALESCE(max(n), 0) + 1 AS n FROM s.self',
    'tests/test_types.yaml': `
test_child:
  model: s.child
  inputs:
    s.parent: [{id: 2, tags: [a, b], doc: {a: [1, 2]}, ts: '2024-01-01'}]
    s.rates: [{code: A, rate: 1}]
  outputs: {query: [{t: SMALLINT, tags: [a, b], doc: '{"a":  [1,2]}', ts: 2024-01-01, rate: 1}]}
test_self: {model: s.self, outputs: {query: [{n: 1}]}}
wrong_column:
  model: s.child
  inputs: {s.parent: [{idd: 2}], s.rates: []}
  outputs: {query: []}
no_input: {model: s.child, inputs: {s.rates: []}, outputs: {query: []}}
no_model: {model: s.chid, outputs: {query: []}}
no_query: {model: s.rates, outputs: {query: []}}
no_column: {model: s.self, outputs: {query: [{m: 1}]}}
no_cte: {model: s.self, outputs: {ctes: {c: []}}}
`,
  })
  expect(statuses(result)).toEqual({
    test_child: 'pass',
    test_self: 'pass',
    wrong_column: "expected columns of 's.parent' (id, tags, doc, ts); got 'idd'",
    no_input: "expected rows of 's.parent', which model 's.inlined' reads",
    no_model: "expected a model of this project, got 's.chid'",
    no_query: "expected a model with a query; 's.rates' is of kind SEED",
    no_column: "expected columns of 's.self' (n); got 'm'",
    no_cte: "expected a common table expression of 's.self' (it has none); got 'c'",
  })
  expect(result.tests.find(({ name }) => name === 'no_model')?.error?.hint).toBe("Did you mean 's.child'?")
})

test('what differs is told row by row; a number is no text; the order counts where the query has one', async () => {
  const { tests } = await run({
    'models/a.sql': "MODEL (name s.a); SELECT id, '1' AS one FROM raw.t ORDER BY id DESC",
    'tests/test_a.yml': `
a:
  model: s.a
  inputs: {raw.t: [{id: 1}, {id: 2}]}
  outputs:
    query: [{id: 1, one: '1'}, {id: 2, one: 1}]`,
  })
  expect(tests[0]).toMatchObject({
    status: 'fail',
    differences: [
      {
        cte: null,
        line: 6,
        different: [
          { row: 1, columns: { id: { expected: 1, actual: 2 } } },
          { row: 2, columns: { id: { expected: 2, actual: 1 }, one: { expected: 1, actual: '1' } } },
        ],
      },
    ],
  })
})

test('every problem of the YAML is told with its line, before anything runs', async () => {
  const error = await run({
    'models/a.sql': 'MODEL (name s.a); SELECT 1 AS x',
    'tests/test_a.yaml': `
first:
  modle: s.a
  outputs: {query: 7}
second:
  model: s.a
  gateway: nowhere
  vars: {start: someday, start_ts: 1}
python:
  model: s.a
  outputs: {query: [{x: 1, y: {rows: 2}}], qeury: []}`,
    'tests/test_b.yaml': 'a: !!python/object:datetime.date {}\nb: 1',
    'tests/test_c.yaml': '- a\n',
  }).catch((thrown: unknown) => thrown as { problems: { code: string; message: string; line: number; file: string }[] })
  const problems = 'problems' in error ? error.problems : []
  expect(problems.map(({ message, line }) => `${line}: ${message}`)).toEqual([
    "3: expected a known key in 'first', got 'modle'",
    "2: test 'first': expected the 'model' that it tests",
    "4: expected 'first.outputs.query' to be a mapping, got '7'",
    "7: expected a gateway of config.yaml, got 'nowhere'",
    "5: test 'second': expected 'outputs'",
    expect.stringContaining('8: expected start, end or execution_time'),
    expect.stringContaining('8: expected a date, a timestamp'),
    "11: expected a known key in 'python.outputs', got 'qeury'",
    expect.stringContaining('1: expected a plain YAML value, got the tag !!python/object:datetime.date'),
    "1: expected 'tests/test_c.yaml' to be tests by their names, got a list",
  ])
  expect(new Set(problems.map(({ code }) => code))).toEqual(new Set(['TEST']))
})

test('200 tests take a few seconds', async () => {
  const one = (n: number): string =>
    `t${n}: {model: s.a, inputs: {raw.t: [{id: ${n}}]}, outputs: {query: [{id: ${n}}]}}\n`
  const started = performance.now()
  const result = await run({
    'models/a.sql': 'MODEL (name s.a); SELECT id FROM raw.t',
    'tests/test_many.yaml': Array.from({ length: 200 }, (_, n) => one(n)).join(''),
  })
  expect(result).toMatchObject({ passed: 200, failed: 0 })
  expect(performance.now() - started).toBeLessThan(10_000)
})
