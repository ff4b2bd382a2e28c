/** Workers that die in mid-build: the next one goes on, and what is built is what an undisturbed build makes. */
import type { WorkflowHandle } from '@temporalio/client'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FULL_SIZE } from '../helpers/full-size.ts'
import { createProject, query } from '../helpers/project.ts'
import { createRandom } from '../helpers/random.ts'
import { startWorkerProcess, type WorkerProcess } from '../helpers/worker-process.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'
import type { BuildSummary } from '../../src/payloads.ts'

const KILLS = FULL_SIZE ? 10 : 4
const SEED = 42
/** Few: what dies with a worker is only given to the next when its heartbeats have been missing for 20 s. */
const SLOTS = 5
const EXECUTION_TIME = '2024-02-01'

const COUNTS = { seeds: 4, bases: 60, views: 40, days: 16, marts: 80 }
const MODELS = 200
const BATCHES = 7
const STEPS = MODELS + COUNTS.days * (BATCHES - 1)

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

test(`a build of 200 models whose worker is killed ${KILLS} times ends as if nothing had happened`, async () => {
  const files = createFiles()
  const [disturbed, undisturbed] = [await createProject(files), await createProject(files)]
  const random = createRandom(SEED)

  const handle = await startBuild('disturbed')
  const result = handle.result()
  let interrupted = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const worker = startWorker('disturbed', disturbed)
    await worker.ready
    await starts(worker, 1 + Math.floor(random() * 12))
    await pause(random() * 150)
    interrupted += worker.running.size
    await worker.kill()
  }
  expect(interrupted).toBeGreaterThanOrEqual(KILLS / 2)
  expect((await handle.describe()).status.name).toBe('RUNNING')
  const last = startWorker('disturbed', disturbed)
  const quiet = startWorker('undisturbed', undisturbed)
  const [summary] = await Promise.all([result, (await startBuild('undisturbed')).result()])
  await Promise.all([last.kill(), quiet.kill()])

  expect(summary).toMatchObject({ status: 'succeeded', promoted: true, problems: [] })
  expect(summary.counts).toMatchObject({ success: MODELS, error: 0, skipped: 0, canceled: 0, pending: 0 })
  await expectSoundState(disturbed)
  const expected = await contents(undisturbed)
  expect(Object.keys(expected.views)).toHaveLength(MODELS)
  expect(expected.units.length).toBe(MODELS - COUNTS.days + 31 * COUNTS.days)
  expect(await contents(disturbed)).toEqual(expected)
})

function startWorker(taskQueue: string, project: string): WorkerProcess {
  return startWorkerProcess({ address: server.server.address, taskQueue, project, slots: SLOTS })
}

async function startBuild(taskQueue: string): Promise<WorkflowHandle<() => Promise<BuildSummary>>> {
  return server.client.workflow.start('buildProject', {
    taskQueue,
    workflowId: taskQueue,
    // A worker that dies with the workflow's next decision in its hands holds it up for no longer than this.
    workflowTaskTimeout: '2s',
    // All that is ready is on the queue, so that lost steps do not hold up the others.
    args: [{ executionTime: EXECUTION_TIME, maxParallel: 500 }],
  })
}

/** When `count` steps have started, or none starts any more because those that are lost are waited for. */
async function starts(worker: WorkerProcess, count: number): Promise<void> {
  let left = count
  await new Promise<void>((resolve) => {
    const limit = setTimeout(resolve, 5000)
    worker.onStarted((activityId) => {
      if (activityId === 'plan') return limit.refresh()
      left -= 1
      if (left > 0) return limit.refresh()
      clearTimeout(limit)
      resolve()
    })
  })
}

/** Seeds; tables from them; views, daily tables in batches and tables over those. */
function createFiles(): Record<string, string> {
  const files: Record<string, string> = {}
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index)
  for (const i of numbers(COUNTS.seeds)) {
    files[`seeds/s${i}.csv`] = ['n,label', ...numbers(50).map((n) => `${n},label ${n * (i + 1)}`)].join('\n')
    files[`models/seed_${i}.sql`] = `MODEL (name k.seed_${i}, kind SEED (path '../seeds/s${i}.csv'));`
  }
  for (const i of numbers(COUNTS.bases)) {
    files[`models/base_${i}.sql`] = `MODEL (name k.base_${i}, kind FULL, audits (not_null(columns := (n))));
      SELECT t.n, hash(t.n, ${i}) % 1000 AS value, s.label
      FROM range(40000) AS t(n) JOIN k.seed_${i % COUNTS.seeds} AS s ON s.n = t.n % 50 ORDER BY hash(t.n)`
  }
  for (const i of numbers(COUNTS.views)) {
    files[`models/view_${i}.sql`] = `MODEL (name k.view_${i}, kind VIEW);
      SELECT label, count(*) AS rows, sum(value) AS value FROM k.base_${i} GROUP BY label`
  }
  for (const i of numbers(COUNTS.days)) {
    files[`models/days_${i}.sql`] =
      `MODEL (name k.days_${i}, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 5));
      SELECT DATE '2024-01-01' + (n % 31)::INTEGER AS day, n, value FROM k.base_${i}
      WHERE DATE '2024-01-01' + (n % 31)::INTEGER BETWEEN @start_ds AND @end_ds`
  }
  for (const i of numbers(COUNTS.marts)) {
    files[`models/mart_${i}.sql`] = `MODEL (name k.mart_${i}, kind FULL);
      SELECT d.day, v.label, count(*) AS rows, sum(d.value + v.value) AS value
      FROM k.days_${i % COUNTS.days} AS d JOIN k.view_${i % COUNTS.views} AS v ON v.rows > d.n % 900 GROUP BY ALL`
  }
  return files
}

interface Contents {
  /** Rows, and a sum of their hashes, of each model. */
  views: Record<string, unknown>
  units: unknown[]
}

async function contents(root: string): Promise<Contents> {
  const file = join(root, 'w.duckdb')
  const names = await query(file, "SELECT view_name AS name FROM duckdb_views() WHERE schema_name = 'k' ORDER BY ALL")
  const digests = names.map(
    ({ name }) =>
      `SELECT '${String(name)}' AS name, count(*)::INTEGER AS rows, sum(hash(model)::HUGEINT)::VARCHAR AS digest FROM k.${String(name)} AS model`,
  )
  const views = await query(file, digests.join(' UNION ALL '))
  return {
    views: Object.fromEntries(views.map(({ name, ...digest }) => [name, digest])),
    units: await query(
      file,
      'SELECT model, unit_start, unit_end FROM millrace.ledger JOIN millrace.versions USING (version) ORDER BY ALL',
    ),
  }
}

/** The file is free; nothing is recorded twice, nothing is held by anybody, nothing has failed. */
async function expectSoundState(root: string): Promise<void> {
  const [state] = await query(
    join(root, 'w.duckdb'),
    `SELECT
       (SELECT count(*) - count(DISTINCT (version, unit_start)) FROM millrace.ledger)::INTEGER AS repeated,
       (SELECT count(*) FROM (
          SELECT unit_start < lag(unit_end) OVER (PARTITION BY version ORDER BY unit_start) AS overlapped
          FROM millrace.ledger) WHERE overlapped)::INTEGER AS overlapping,
       (SELECT count(*) FROM millrace.steps)::INTEGER AS steps,
       (SELECT count(DISTINCT step_index) FROM millrace.steps)::INTEGER AS distinct_steps,
       (SELECT count(*) FROM millrace.running_builds)::INTEGER AS running,
       (SELECT count(*) FROM millrace.failures)::INTEGER AS failures,
       (SELECT list(status) FROM millrace.builds) AS builds`,
  )
  expect(state).toEqual({
    repeated: 0,
    overlapping: 0,
    steps: STEPS,
    distinct_steps: STEPS,
    running: 0,
    failures: 0,
    builds: ['succeeded'],
  })
}
