/** Histories built again: in place, and remembered until that has succeeded. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { builtModels, modelOf, openProject, statuses } from '../helpers/built-project.ts'
import { createProject, writeFiles } from '../helpers/project.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

const NOW = '2024-01-07'
const DAYS = `MODEL (name a.days, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 2));
SELECT ds, CAST(v AS INT) AS v FROM raw.rows WHERE ds BETWEEN @start_date AND @end_date`

test('a restatement that fails keeps the rows, is planned again, and is made good by the next build, in place', async () => {
  const root = await createProject({
    'models/days.sql': DAYS,
    'models/total.sql': 'MODEL (name a.total, kind FULL);\nSELECT sum(v)::INT AS total FROM a.days',
    'models/shown.sql': 'MODEL (name a.shown, kind VIEW);\nSELECT * FROM a.total',
    'models/shut.sql':
      'MODEL (name a.shut, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, disable_restatement true));\nSELECT ds, v FROM a.days WHERE ds BETWEEN @start_date AND @end_date',
    'models/other.sql': 'MODEL (name a.other, kind FULL);\nSELECT 1 AS one',
  })
  const project = await openProject(server, root)
  await project.run(
    `CREATE SCHEMA raw; CREATE TABLE raw.rows AS SELECT DATE '2024-01-01' + range::INT AS ds, '1' AS v FROM range(6)`,
  )
  const days = async (): Promise<unknown[]> =>
    (await project.rows('SELECT v FROM a.days ORDER BY ds')).map(({ v }) => v)
  await project.build({ executionTime: NOW })
  expect(await days()).toEqual([1, 1, 1, 1, 1, 1])

  await project.run(`UPDATE raw.rows SET v = CASE WHEN ds = '2024-01-05' THEN 'five' ELSE '2' END`)
  const asked = { restate: ['a.days'], start: '2024-01-02', end: '2024-01-05', executionTime: NOW }
  expect(await project.plan(asked)).toEqual({
    environment: 'prod',
    changes: [],
    backfills: [
      {
        model: 'a.days',
        intervals: [['2024-01-02T00:00:00.000Z', '2024-01-06T00:00:00.000Z']],
        batches: 2,
        reason: 'restated',
      },
      {
        model: 'a.total',
        intervals: [['2024-01-01T00:00:00.000Z', '2024-01-07T00:00:00.000Z']],
        batches: 1,
        reason: 'a.days restated',
      },
      {
        model: 'a.shown',
        intervals: [['2024-01-01T00:00:00.000Z', '2024-01-07T00:00:00.000Z']],
        batches: 1,
        reason: 'a.total restated',
      },
    ],
    stale: [],
    sources: [],
    unchanged: ['a.shut'],
    notices: ["model 'a.shut' is not restated: it has disable_restatement"],
  })
  expect((await project.plan({ executionTime: NOW })).backfills).toEqual([])

  const failed = await project.build(asked)
  expect(statuses(failed)).toEqual({
    'a.days': 'error',
    'a.total': 'skipped',
    'a.shown': 'skipped',
    'a.shut': 'unchanged',
  })
  expect(modelOf(failed, 'a.shut').reason).toBe('not restated: it has disable_restatement')
  // The batch of the 2nd and 3rd succeeded; of the other one every row is there still.
  expect(await days()).toEqual([1, 2, 2, 1, 1, 1])
  expect(await project.rows('SELECT total FROM a.shown')).toEqual([{ total: 6 }])

  const left = await project.plan({ executionTime: NOW })
  expect(left.backfills).toMatchObject([
    { model: 'a.days', intervals: [['2024-01-04T00:00:00.000Z', '2024-01-06T00:00:00.000Z']] },
    { model: 'a.total' },
    { model: 'a.shown' },
  ])
  expect(left.backfills[0]?.reason).toBe('it was to be restated, which has not succeeded yet')
  await project.run(`UPDATE raw.rows SET v = '3'`)
  const next = await project.build({ executionTime: NOW })
  expect(builtModels(next)).toEqual(['a.days', 'a.shown', 'a.total'])
  expect(await days()).toEqual([1, 2, 2, 3, 3, 1])
  expect(await project.rows('SELECT total FROM a.shown')).toEqual([{ total: 12 }])
  expect((await project.plan({ executionTime: NOW })).backfills).toEqual([])
  expect(await project.rows('FROM millrace.restatements')).toEqual([])

  // Asked for what cannot be done: before anything is touched.
  for (const [input, message] of [
    [{ restate: ['a.shut'] }, 'disable_restatement'],
    [{ restate: ['a.days'], fullRefresh: true }, 'without fullRefresh'],
    [{ restate: ['a.days'], select: 'a.total' }, 'without select'],
    [{ restate: ['a.days'], onConflict: 'join' as const }, 'cannot join'],
    [{ restate: [] }, 'at least one model'],
  ] as const) {
    const refused = { ...input, restate: [...input.restate], executionTime: NOW }
    await expect(project.build(refused)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(message),
    })
  }
  await expect(project.build({ restate: ['a.nothing'], executionTime: NOW })).rejects.toMatchObject({
    code: 'SELECTION',
  })

  // What is asked for again is repeated as it was asked for: only what did not succeed then.
  await project.run(`UPDATE raw.rows SET v = CASE WHEN ds = '2024-01-05' THEN 'five' ELSE '4' END`)
  await project.build(asked)
  await project.run(`UPDATE raw.rows SET v = '5'`)
  const handle = failed.workflowId
  const repeated = await project.build({ retryOf: handle })
  expect(statuses(repeated)).toMatchObject({ 'a.days': 'success', 'a.total': 'success', 'a.shown': 'success' })
  expect(await days()).toEqual([1, 4, 4, 5, 5, 1])
})

test('a history that grew row by row is built again beside the old one, and shown when all of it is there', async () => {
  const root = await createProject({
    'models/weekly.sql': `MODEL (name a.weekly, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, auto_restatement_cron '@weekly', auto_restatement_intervals 5));
SELECT ds, v FROM raw.rows WHERE ds BETWEEN @start_date AND @end_date`,
    'models/keyed.sql': `MODEL (name a.keyed, kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id, batch_size 2));
SELECT day(ds) % 2 AS id, ds, v FROM raw.rows WHERE ds BETWEEN @start_date AND @end_date`,
    'models/read.sql':
      'MODEL (name a.read, kind FULL, audits (forall(criteria := (n < 5))));\nSELECT count(*)::INT AS n, sum(v)::INT AS v FROM a.keyed',
  })
  const project = await openProject(server, root)
  await project.run(
    `CREATE SCHEMA raw; CREATE TABLE raw.rows AS SELECT DATE '2024-01-01' + range::INT AS ds, range::INT AS v FROM range(4)`,
  )
  await project.build({ executionTime: '2024-01-05' })
  const shown = async (): Promise<unknown> => (await project.rows('FROM a.read'))[0]
  expect(await shown()).toEqual({ n: 2, v: 5 })

  // A key that is gone from the source goes only when all rows are made anew.
  await project.run(`DELETE FROM raw.rows WHERE day(ds) % 2 = 0`)
  await project.run(`INSERT INTO raw.rows SELECT DATE '2024-01-01', 10 FROM range(1)`)
  const failing = {
    'models/read.sql':
      'MODEL (name a.read, kind FULL, audits (forall(criteria := (n > 5))));\nSELECT count(*)::INT AS n, sum(v)::INT AS v FROM a.keyed',
  }
  await writeFiles(root, failing)
  const failed = await project.build({ restate: ['a.keyed'], start: '2024-01-04', executionTime: '2024-01-05' })
  expect(statuses(failed)).toEqual({ 'a.keyed': 'success', 'a.read': 'error' })
  expect(failed.promoted).toBe(false)
  expect(await project.rows('SELECT count(*)::INT AS n FROM a.keyed')).toEqual([{ n: 2 }])
  expect(await shown()).toEqual({ n: 2, v: 5 })

  await writeFiles(root, { 'models/read.sql': failing['models/read.sql'].replace('n > 5', 'n < 5') })
  const next = await project.build({ executionTime: '2024-01-05' })
  // What was built is not built again.
  expect(builtModels(next)).toEqual(['a.read'])
  expect(next.promoted).toBe(true)
  expect(await project.rows('SELECT id::INT AS id, v FROM a.keyed')).toEqual([{ id: 1, v: 2 }])
  expect(await shown()).toEqual({ n: 1, v: 2 })
  expect((await project.plan({ executionTime: '2024-01-05' })).backfills).toEqual([])

  // A Sunday has passed: of what is built the last of five days is built again, once.
  const weekly = async (executionTime: string): Promise<unknown> =>
    (await project.plan({ executionTime })).backfills.find(({ model }) => model === 'a.weekly')
  expect(await weekly('2024-01-09')).toMatchObject({
    intervals: [['2024-01-04T00:00:00.000Z', '2024-01-09T00:00:00.000Z']],
    reason: 'restated by its auto_restatement_cron',
  })
  expect(await project.rows('SELECT count(*)::INT AS n FROM a.weekly')).toEqual([{ n: 4 }])
  await project.build({ executionTime: '2024-01-09', select: 'a.weekly' })
  expect(await project.rows('SELECT count(*)::INT AS n FROM a.weekly')).toEqual([{ n: 3 }])
  expect(await weekly('2024-01-10')).toMatchObject({
    intervals: [['2024-01-09T00:00:00.000Z', '2024-01-10T00:00:00.000Z']],
    reason: 'new data is due',
  })
})
