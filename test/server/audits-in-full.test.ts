/** Audits beyond one model: what they read is built before; standalone ones; rows that are kept; audits alone. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { builtModels, modelOf, openProject, statuses } from '../helpers/built-project.ts'
import { createProject, writeFiles } from '../helpers/project.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

const NOW = '2024-01-04'

function orders(audits: string): string {
  return `MODEL (name a.orders, kind FULL, audits (
  ${audits}
));
SELECT * FROM (VALUES (1, 10), (2, 20), (3, NULL)) AS t (id, customer)`
}

function customers(...ids: number[]): string {
  return `MODEL (name z.customers, kind FULL);\nSELECT unnest([${ids.join(', ')}]) AS id`
}

const RELATIONSHIP = 'relationship(column := customer, to := z.customers, to_column := id)'

test('what an audit reads is built before, and a change of it leaves the audited model as it is', async () => {
  const root = await createProject({
    'models/orders.sql': orders(RELATIONSHIP),
    'models/customers.sql': customers(10, 20),
    'models/reader.sql': 'MODEL (name b.reader, kind VIEW);\nSELECT count(*) AS n FROM a.orders',
    'audits/no_orphans.sql': `AUDIT (name no_orphans, standalone true, defaults (least = 1));
SELECT * FROM z.customers AS c WHERE id >= @least AND NOT EXISTS (FROM a.orders WHERE customer = c.id)`,
  })
  const project = await openProject(server, root)
  const built = await project.build({ executionTime: NOW })
  expect(statuses(built)).toEqual({
    'z.customers': 'success',
    'a.orders': 'success',
    'b.reader': 'success',
    no_orphans: 'success',
  })
  expect(built.promoted).toBe(true)
  const endOf = (name: string): number => Date.parse(modelOf(built, name).endedAt ?? '')
  expect(Date.parse(modelOf(built, 'a.orders').startedAt ?? '')).toBeGreaterThanOrEqual(endOf('z.customers'))
  expect(modelOf(built, 'a.orders').audits).toEqual([{ name: 'relationship', status: 'pass', failures: 0 }])

  // Only what reads the new customers runs: the standalone audit, which warns, and stops nothing.
  await writeFiles(root, { 'models/customers.sql': customers(10, 20, 30) })
  const changed = await project.build({ executionTime: NOW })
  expect(builtModels(changed)).toEqual(['no_orphans', 'z.customers'])
  expect(changed).toMatchObject({ status: 'succeeded', promoted: true, counts: { warn: 1, success: 1, unchanged: 2 } })
  expect(modelOf(changed, 'no_orphans')).toMatchObject({
    kind: 'AUDIT',
    status: 'warn',
    audits: [{ name: 'no_orphans', status: 'warn', failures: 1 }],
  })
  expect(builtModels(await project.build({ executionTime: NOW }))).toEqual([])

  // An audit alone: it runs on the rows that are there, keeps the bad ones, and what it stops is not promoted.
  await writeFiles(root, {
    'models/orders.sql': orders(
      `${RELATIONSHIP},\n  accepted_range(column := id, max_v := 9), accepted_range(column := id, max_v := 2, keep_failures := true)`,
    ),
  })
  const plan = await project.plan({ executionTime: NOW })
  expect(plan).toMatchObject({ backfills: [], changes: [{ model: 'a.orders', category: 'metadata' }] })
  for (const attempt of [1, 2]) {
    const audited = await project.build({ executionTime: NOW })
    expect({ attempt, built: builtModels(audited), promoted: audited.promoted }).toEqual({
      attempt,
      built: ['a.orders'],
      promoted: false,
    })
    expect(modelOf(audited, 'a.orders').error).toMatchObject({ code: 'AUDIT_FAILED' })
    expect(modelOf(audited, 'a.orders').error?.message).toContain(
      'the rows are in millrace__audit.a__orders__accepted_range__2',
    )
    expect(modelOf(audited, 'a.orders').error?.message).toContain('models/orders.sql:3')
  }
  expect(await project.rows('SELECT * FROM millrace__audit.a__orders__accepted_range__2')).toEqual([
    { id: 3, customer: null },
  ])
  await writeFiles(root, { 'models/orders.sql': orders('number_of_rows(threshold := 2)') })
  const passed = await project.build({ executionTime: NOW })
  expect(passed).toMatchObject({ status: 'succeeded', promoted: true })
  expect(modelOf(passed, 'a.orders')).toMatchObject({ status: 'success', rows: null, audits: [{ status: 'pass' }] })
  expect(builtModels(await project.build({ executionTime: NOW }))).toEqual([])
})

test('rows that a failing step takes back are kept, as many as millrace.yaml says', async () => {
  const root = await createProject({
    'millrace.yaml': 'audits: { keep_failures: true, max_rows: 2 }\n',
    'models/bad.sql': `MODEL (name a.bad, kind FULL, audits (no_match));
SELECT range AS id, [range] AS list FROM range(5)`,
    'models/soft.sql': `MODEL (name a.soft, kind FULL, audits (not_null_non_blocking(columns := id), forall(criteria := id > 0, blocking := false, keep_failures := false)));
SELECT NULL::INT AS id`,
    'models/ok.sql': 'MODEL (name a.ok, kind FULL);\nSELECT 0 AS id',
    // Reads another model by its name, in a file of the project.
    'audits/no_match.sql':
      'AUDIT (name no_match);\nSELECT * FROM @this_model WHERE id NOT IN (SELECT id FROM a.ok) -- bad;',
  })
  const project = await openProject(server, root)
  const report = await project.build({ executionTime: NOW })
  expect(statuses(report)).toEqual({ 'a.ok': 'success', 'a.bad': 'error', 'a.soft': 'warn' })
  expect(modelOf(report, 'a.bad').audits).toEqual([
    { name: 'no_match', status: 'fail', failures: 4, table: 'millrace__audit.a__bad__no_match' },
  ])
  expect(await project.rows('FROM millrace__audit.a__bad__no_match')).toEqual([
    { id: 1, list: [1] },
    { id: 2, list: [2] },
  ])
  expect(modelOf(report, 'a.soft').audits).toMatchObject([
    { name: 'not_null_non_blocking', status: 'warn', table: 'millrace__audit.a__soft__not_null_non_blocking' },
    { name: 'forall', status: 'pass' },
  ])
})
