/** What `evaluate` and the ages of sources need a build for. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { toMillraceError } from '../../src/cli/remote-error.ts'
import { evaluateVerb } from '../../src/cli/verbs/evaluate.ts'
import type { BuildInput, EvaluateInput, EvaluatedRows } from '../../src/payloads.ts'
import { errorOf, runVerb } from '../cli/run-verb.ts'
import { openProject, statuses } from '../helpers/built-project.ts'
import { createProject, writeFiles } from '../helpers/project.ts'
import { startTestServer, TASK_QUEUE, type TestServer } from '../helpers/worker.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

const NOW = '2024-01-04'

test('evaluate shows what a query gives now, from the tables of the environment, and leaves nothing behind', async () => {
  const root = await createProject({
    'models/a.sql': 'MODEL (name s.a, kind FULL);\nSELECT unnest(range(5)) AS x',
    'models/e.sql': 'MODEL (name s.e, kind EMBEDDED);\nSELECT x * 10 AS x FROM s.a',
    'models/b.sql': `MODEL (name s.b, kind INCREMENTAL_BY_TIME_RANGE (time_column day), columns (x INT, day DATE));
INSERT INTO main.side_effect VALUES (7);
SELECT x + n AS x, CAST(@start_ds AS DATE) AS day FROM s.e, main.side_effect ORDER BY 1`,
    'models/c.sql': 'MODEL (name s.c, kind FULL);\nSELECT x FROM s.b',
  })
  expect(await errorOf(runVerb(evaluateVerb, root, ['s.a']))).toMatchObject({ code: 'DATABASE' })
  const project = await openProject(server, root)
  await project.run('CREATE TABLE main.side_effect (n INT)')
  await project.build({ executionTime: NOW, select: 's.a s.e' })

  const answer = await runVerb<EvaluatedRows>(evaluateVerb, root, ['b', '--limit', '2', '--start', '2024-02-01'])
  expect(answer).toMatchObject({
    code: 0,
    document: {
      columns: [
        { name: 'x', type: 'INTEGER' },
        { name: 'day', type: 'DATE' },
      ],
      rows: [
        { x: 7, day: '2024-02-01' },
        { x: 17, day: '2024-02-01' },
      ],
    },
  })
  expect(answer.text).toBe('x   day\n7   2024-02-01\n17  2024-02-01\n\n2 rows (there may be more: --limit)')
  expect(await project.names()).toEqual(['table main.side_effect', 'view s.a'])
  expect(await project.rows('FROM main.side_effect')).toEqual([])
  expect(await errorOf(runVerb(evaluateVerb, root, ['s.c']))).toMatchObject({
    code: 'PARENT_NOT_BUILT',
    message: expect.stringContaining("'s.b'"),
  })

  const remote = (model: string) =>
    server.client.workflow.execute<(input: EvaluateInput) => Promise<EvaluatedRows>>('evaluate', {
      taskQueue: TASK_QUEUE,
      workflowId: `evaluate/${model}`,
      args: [
        { environment: 'prod', model, interval: [0, 86_400_000], executionMs: 0, limit: 10, lockTimeoutSeconds: 1 },
      ],
    })
  expect((await remote('s.e')).rows).toHaveLength(5)
  const refused = await remote('s.none').catch((error: unknown) => toMillraceError(error))
  expect(refused).toMatchObject({ code: 'UNKNOWN_MODEL' })
})

test('a source that is too old warns, or keeps what reads it from being built', async () => {
  const root = await createProject({
    'models/raw.sql': 'MODEL (name s.inlined, kind EMBEDDED);\nSELECT id FROM raw.events',
    'models/a.sql': 'MODEL (name s.a, kind FULL);\nSELECT id FROM s.inlined',
    'models/other.sql': 'MODEL (name s.other, kind FULL);\nSELECT 1 AS one',
    'millrace.yaml': `freshness:
  - { model: w.raw.events, column: loaded_at, warn_after: 6h, error_after: 1d }
  - { model: raw.unread, column: at, error_after: 1s }`,
  })
  const project = await openProject(server, root)
  await project.run(
    "CREATE SCHEMA raw; CREATE TABLE raw.events AS SELECT 1 AS id, TIMESTAMP '2024-01-04 00:00:00' AS loaded_at",
  )
  const sources = async (input: BuildInput) =>
    (await project.plan(input)).sources.map(({ status, message }) => [status, message])
  expect(await sources({ executionTime: '2024-01-04T06:00:00Z' })).toEqual([['fresh', null]])
  const old = 'its newest loaded_at is 2024-01-04T00:00:00.000Z, 7 h before'
  expect(await sources({ executionTime: '2024-01-04T07:00:00Z' })).toEqual([
    ['warn', `expected 'raw.events' to be at most 6 h old at 2024-01-04T07:00:00.000Z; ${old}`],
  ])
  const stale = { executionTime: '2024-01-05T12:30:00Z' }
  expect(await sources({ ...stale, select: 's.other' })).toEqual([])
  expect((await sources(stale))[0]).toMatchObject(['stale', expect.stringContaining('1 d 12 h before')])
  const error = await project.build(stale).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({
    code: 'STALE_SOURCE',
    message: expect.stringContaining("expected 'raw.events' to be at most 1 d old at 2024-01-05T12:30:00.000Z"),
  })
  expect(await project.names()).toEqual(['table raw.events'])
  expect(statuses(await project.build({ ...stale, select: 's.other' }))).toEqual({ 's.other': 'success' })

  await project.run("UPDATE raw.events SET loaded_at = '2024-01-05 06:00:00'")
  expect(statuses(await project.build(stale))).toMatchObject({ 's.a': 'success' })
  // Nothing that reads it is to be built: its age does not matter.
  expect(await sources({ executionTime: '2024-01-05T23:00:00Z' })).toEqual([])

  await writeFiles(root, { 'millrace.yaml': 'freshness: [{ model: raw.events, column: nope, warn_after: 1h }]' })
  const wrong = await project.build({ ...stale, fullRefresh: true }).catch((thrown: unknown) => thrown)
  expect(wrong).toMatchObject({ code: 'CONFIG', message: expect.stringContaining("expected a column 'nope' of times") })
})
