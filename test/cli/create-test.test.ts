import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createTestVerb } from '../../src/cli/verbs/create-test.ts'
import { testVerb } from '../../src/cli/verbs/test.ts'
import type { TestRun } from '../../src/unit-tests/run-tests.ts'
import { createProject, query } from '../helpers/project.ts'
import { errorOf, runVerb } from './run-verb.ts'

const FILES = {
  'models/orders.sql': `MODEL (name s.orders, kind INCREMENTAL_BY_TIME_RANGE (time_column day));
WITH paid AS (SELECT * FROM s.inlined WHERE state = @VAR('state', 'paid'))
SELECT CAST(ts AS DATE) AS day, sum(amount) AS amount, any_value(tags) AS tags, any_value(doc) AS doc, CURRENT_DATE > '2024-01-01' AS late
FROM paid WHERE ts BETWEEN @start_dt AND @end_dt GROUP BY ALL`,
  'models/inlined.sql': 'MODEL (name s.inlined, kind EMBEDDED); SELECT * FROM raw.orders',
  'models/names.sql': 'MODEL (name s.names); SELECT name FROM raw.names ORDER BY 1',
  'external_models.yaml': '- name: raw.names\n  columns: {name: TEXT}\n',
}

test('makes a test of rows of the database that passes, and never replaces a file unasked', async () => {
  const root = await createProject(FILES)
  expect(await errorOf(runVerb(createTestVerb, root, ['s.names']))).toMatchObject({ code: 'DATABASE' })
  await query(
    join(root, 'w.duckdb'),
    `CREATE SCHEMA raw; CREATE TABLE raw.names AS SELECT 'n' || range AS name FROM range(9);
     CREATE TABLE raw.orders AS SELECT * FROM (VALUES
       (1, TIMESTAMP '2024-01-01 10:00:00', 'paid', 2.50::DECIMAL(9, 2), ['a', 'b'], {'k': 1}),
       (2, TIMESTAMP '2024-01-01 11:00:00', 'open', 1.00, NULL, NULL)) AS t(id, ts, state, amount, tags, doc)`,
  )
  const names = await runVerb(createTestVerb, root, ['s.names'])
  expect(names).toMatchObject({
    code: 0,
    document: { file: 'tests/test_names.yaml', test: 'test_names', inputs: { 'raw.names': 3 }, rows: 3, passed: true },
  })
  expect(names.said).toEqual(["raw.names: its first 3 rows; --query raw.names 'SELECT …' chooses others"])
  expect(await readFile(join(root, 'tests/test_names.yaml'), 'utf8')).toBe(`test_names:
  model: s.names
  inputs:
    raw.names:
      - name: n0
      - name: n1
      - name: n2
  outputs:
    query:
      - name: n0
      - name: n1
      - name: n2
`)

  const words = ['orders', '--name', 'test_open', '--path', 'more/test_of_orders', '--include-ctes']
  const chosen = ['--query', 'raw.orders', 'SELECT * FROM raw.orders WHERE id = 2', '--var', 'state=open']
  const orders = await runVerb(createTestVerb, root, [
    ...words,
    ...chosen,
    '--start',
    '2024-01-01',
    '--end',
    '2024-01-01',
  ])
  expect(orders).toMatchObject({ code: 0, document: { rows: 1, passed: true } })
  const text = await readFile(join(root, 'tests/more/test_of_orders.yaml'), 'utf8')
  expect(text).toContain('amount: DECIMAL(9,2)')
  expect(text).toContain('state: open')
  expect(text).toMatch(/ctes:\n +paid:\n +- id: 2/)
  expect(text).toMatch(/start: 2024-01-01T00:00:00.000Z\n +end: 2024-01-02T00:00:00.000Z\n +execution_time: 20/)
  const nested = await runVerb(createTestVerb, root, ['orders', '--start', '2024-01-01', '--end', '2024-01-01'])
  expect(nested).toMatchObject({ code: 0, document: { rows: 1, passed: true } })
  expect((await runVerb<TestRun>(testVerb, root)).document).toMatchObject({ passed: 3, failed: 0 })

  expect(await errorOf(runVerb(createTestVerb, root, ['s.names']))).toMatchObject({ code: 'USAGE' })
  await writeFile(join(root, 'tests/test_names.yaml'), '')
  expect((await runVerb(createTestVerb, root, ['s.names', '--overwrite'])).code).toBe(0)
  expect(
    await errorOf(runVerb(createTestVerb, root, ['orders', '--path', 'x', '--query', 'raw.none=SELECT 1'])),
  ).toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining("begins with 'test'"),
  })
  expect(
    await errorOf(runVerb(createTestVerb, root, ['orders', '--name', 'test_x', '--query', 'raw.none=SELECT 1'])),
  ).toMatchObject({
    message: "--query: expected one of raw.orders; got 'raw.none'",
  })
})
