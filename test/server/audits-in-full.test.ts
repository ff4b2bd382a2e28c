/** Audits beyond one model: what they read is built before; standalone ones; rows that are kept; audits alone. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { builtModels, modelOf, openProject, statuses } from '../helpers/built-project.ts'
import { randomUUID } from 'node:crypto'
import { auditVerb } from '../../src/cli/verbs/audit.ts'
import type { AuditPage } from '../../src/activities/audit-models.ts'
import type { AuditReport } from '../../src/payloads.ts'
import { runVerb } from '../cli/run-verb.ts'
import { createProject, writeFiles } from '../helpers/project.ts'
import { startTestServer, TASK_QUEUE, type TestServer } from '../helpers/worker.ts'

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

test('the verb audit looks at what the environment has, in a range or in full, and builds nothing', async () => {
  const root = await createProject({
    'models/days.sql': `MODEL (name a.days, kind INCREMENTAL_BY_TIME_RANGE (time_column ds), audits (
  accepted_range(column := v, max_v := 2), small(most := 1), broken_non_blocking));
SELECT ds, v FROM raw.days WHERE ds BETWEEN @start_date AND @end_date`,
    'models/late.sql': 'MODEL (name b.late, kind FULL, audits (number_of_rows(threshold := 0)));\nSELECT 1 AS x',
    'audits/small.sql': `AUDIT (name small, blocking false);
SELECT * FROM @this_model WHERE v > @most AND ds BETWEEN @start_date AND @end_date`,
    'audits/broken.sql': 'AUDIT (name broken_non_blocking, blocking false);\nSELECT no_such_column FROM @this_model',
    'audits/any_days.sql': 'AUDIT (name any_days, standalone true);\nSELECT 1 WHERE NOT EXISTS (FROM a.days)',
  })
  const never = runVerb(auditVerb, root, ['--json'])
  await expect(never).rejects.toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining('has not been built yet'),
  })

  const project = await openProject(server, root)
  await project.run(
    `CREATE SCHEMA raw; CREATE TABLE raw.days AS SELECT DATE '2024-01-01' + range::INT AS ds, range::INT AS v FROM range(3)`,
  )
  await project.build({ executionTime: NOW, exclude: 'b.late' })
  const now = ['--execution-time', NOW]
  const whole = await runVerb<AuditReport>(auditVerb, root, now)
  expect(whole.document).toMatchObject({
    environment: 'prod',
    missing: ['b.late'],
    audits: [
      {
        model: 'a.days',
        name: 'accepted_range',
        args: { column: 'v', max_v: '2' },
        blocking: true,
        status: 'pass',
        failures: 0,
        message: null,
      },
      { name: 'small', args: { most: '1' }, blocking: false, status: 'warn', failures: 1 },
      { name: 'broken_non_blocking', status: 'warn', failures: 0, message: expect.stringContaining('no_such_column') },
      { model: 'any_days', name: 'any_days', args: {}, blocking: false, status: 'pass' },
    ],
  })
  expect(whole.code).toBe(0)
  expect(whole.text).toContain('Audits of prod: 2 passed, 2 warned, 0 failed')

  // Rows that went bad after the build: a blocking audit finds them, in the range they are in, through the worker too.
  const [table] = await project.rows(`SELECT table_name AS name FROM duckdb_tables() WHERE schema_name = 'millrace__a'`)
  await project.run(`UPDATE millrace__a."${String(table?.['name'])}" SET v = 9 WHERE ds = DATE '2024-01-01'`)
  const bad = await runVerb<AuditReport>(auditVerb, root, [...now, '--select', 'a.days'])
  expect({ code: bad.code, first: bad.document.audits[0] }).toMatchObject({
    code: 1,
    first: { status: 'fail', failures: 1 },
  })
  const input = { environment: 'prod', select: 'a.days', start: '2024-01-02', executionMs: Date.parse(NOW), offset: 0 }
  const page: AuditPage = await server.client.workflow.execute('auditEnvironment', {
    taskQueue: TASK_QUEUE,
    workflowId: `audit/${randomUUID()}`,
    args: [input],
  })
  expect(page).toMatchObject({
    next: null,
    report: { audits: [{ status: 'pass' }, { failures: 1 }, { status: 'warn' }] },
  })
  expect(builtModels(await project.build({ executionTime: NOW, exclude: 'b.late' }))).toEqual([])
})
