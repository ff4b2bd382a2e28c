/** A worker that dies between a COMMIT and the activity's answer: what is committed is not done again. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createProject, query } from '../helpers/project.ts'
import { startWorkerProcess } from '../helpers/worker-process.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'
import type { BuildInput, BuildSummary } from '../../src/payloads.ts'
import type { StepResult } from '../../src/state/ledger.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

/** Each row has an id of its own: rows that are written again are not the same rows. */
const FILES = {
  'seeds/names.csv': 'id,name\n1,one\n2,two\n',
  'models/names.sql': "MODEL (name k.names, kind SEED (path '../seeds/names.csv'));",
  'models/whole.sql': 'MODEL (name k.whole, kind FULL); SELECT uuid() AS row_id, id FROM k.names',
  'models/days.sql': `MODEL (name k.days, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 2));
    SELECT uuid() AS row_id, DATE '2024-01-01' + id::INTEGER - 1 AS day FROM k.names
    WHERE DATE '2024-01-01' + id::INTEGER - 1 BETWEEN @start_ds AND @end_ds`,
  'models/view.sql': 'MODEL (name k.view, kind VIEW); SELECT row_id, id FROM k.whole',
  'models/last.sql': 'MODEL (name k.last, kind FULL); SELECT row_id FROM k.view UNION ALL SELECT row_id FROM k.days',
}
const MODELS = 5
const STEPS = 6

interface Death {
  name: string
  /** The activity whose answer is lost. */
  activityId: string
  commitOf: string[]
  /** The model whose step is recorded by then. */
  step: string | null
}

const DEATHS: Death[] = [
  { name: 'the plan', activityId: 'plan', commitOf: ['INSERT INTO millrace.builds '], step: null },
  {
    name: 'a FULL model',
    activityId: 'k.whole',
    commitOf: ['INSERT INTO millrace.steps', "'k.whole'"],
    step: 'k.whole',
  },
  {
    name: 'a batch',
    activityId: 'k.days@2024-01-01',
    commitOf: ['INSERT INTO millrace.steps', "'k.days'", '1704067200000'],
    step: 'k.days',
  },
  { name: 'a view', activityId: 'k.view', commitOf: ['INSERT INTO millrace.steps', "'k.view'"], step: 'k.view' },
  { name: 'the promotion', activityId: 'finish', commitOf: ['UPDATE millrace.promotion_lock'], step: null },
  { name: "the build's record", activityId: 'finish', commitOf: ['UPDATE millrace.builds SET status'], step: null },
]

// All at once: most of the time is spent waiting for heartbeats that do not come.
test('what a worker committed before it died, whatever it was, is found and not done again', async () => {
  await Promise.all(DEATHS.map(buildAfterDeath))
})

async function buildAfterDeath({ name, activityId, commitOf, step }: Death): Promise<void> {
  const root = await createProject(FILES)
  const file = join(root, 'w.duckdb')
  const script = { address: server.server.address, taskQueue: `died after ${name}`, project: root, slots: 4 }
  const first = startWorkerProcess({ ...script, dieAfterCommitOf: commitOf })
  const handle = await server.client.workflow.start<(input: BuildInput) => Promise<BuildSummary>>('buildProject', {
    taskQueue: script.taskQueue,
    workflowId: script.taskQueue,
    workflowTaskTimeout: '2s',
    args: [{ executionTime: '2024-01-05' }],
  })
  expect(await first.ended, name).toBe('SIGKILL')
  expect([...first.running], name).toContain(activityId)
  const committed = await recorded(file)
  if (step !== null)
    expect(
      committed.map(({ model }) => model),
      name,
    ).toContain(step)

  const second = startWorkerProcess(script)
  const summary = await handle.result()
  await second.kill()

  expect(summary, name).toMatchObject({ status: 'succeeded', promoted: true })
  expect(summary.counts, name).toMatchObject({ success: MODELS, error: 0 })
  const { events } = await handle.fetchHistory()
  const scheduled = events?.find((event) => event.activityTaskScheduledEventAttributes?.activityId === activityId)
  const started = events?.find(
    ({ activityTaskStartedEventAttributes: attributes }) =>
      attributes?.scheduledEventId != null && String(attributes.scheduledEventId) === String(scheduled?.eventId),
  )
  expect(started?.activityTaskStartedEventAttributes?.attempt, name).toBe(2)
  // What was recorded stays as it is, attempts and times included; nothing is recorded twice.
  const after = await recorded(file)
  expect(after, name).toHaveLength(STEPS)
  for (const row of committed) expect(after, name).toContainEqual(row)
  if (step !== null) {
    const killed = after.filter(({ model, result }) => model === step && isOf(result, activityId))
    expect(
      killed.map(({ result }) => (JSON.parse(result) as StepResult).attempts),
      name,
    ).toEqual([1])
  }
  const [state] = await query(
    file,
    `SELECT (SELECT list(revision::INTEGER) FROM millrace.environments) AS revisions,
       (SELECT count(*) FROM millrace.builds)::INTEGER AS builds,
       (SELECT count(*) FROM millrace.build_models)::INTEGER AS reports,
       (SELECT count(*) FROM millrace.running_builds)::INTEGER AS running,
       (SELECT count(*) FROM k.last)::INTEGER AS rows,
       -- Rows that were written a second time would not be those that others have read.
       (SELECT count(*) FROM k.last JOIN (SELECT row_id FROM k.whole UNION ALL SELECT row_id FROM k.days) USING (row_id))::INTEGER AS same_rows`,
  )
  expect(state, name).toEqual({ revisions: [1], builds: 1, reports: MODELS, running: 0, rows: 4, same_rows: 4 })
}

interface RecordedStep {
  model: string
  result: string
}

async function recorded(file: string): Promise<RecordedStep[]> {
  const rows = await query(
    file,
    'SELECT step, model, result, recorded_at::VARCHAR AS recorded_at FROM millrace.steps ORDER BY step',
  )
  return rows as unknown as RecordedStep[]
}

function isOf(result: string, activityId: string): boolean {
  const [, day] = activityId.split('@')
  const { interval } = JSON.parse(result) as StepResult
  return day === undefined || interval?.[0] === Date.parse(day)
}
