/** Builds on a Quack server, which sees none of this machine's files: the same tables as in a file, whoever dies in between. */
import type { WorkflowHandle } from '@temporalio/client'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { BuildSummary } from '../../src/payloads.ts'
import { modelOf, openProject } from '../helpers/built-project.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { createProject, query, writeFiles } from '../helpers/project.ts'
import { startQuackServer, type QuackServer } from '../helpers/quack-server.ts'
import { digestTables, type TableDigest } from '../helpers/table-digests.ts'
import { startWorkerProcess, type WorkerProcess } from '../helpers/worker-process.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

const TOKEN = 'the-server-token'
const SEED_ROWS = 1_000_000
const EXECUTION_TIME = '2024-01-11'

const SEED = ['id,label', ...Array.from({ length: SEED_ROWS }, (_, id) => `${id},label ${id % 1000}`)].join('\n')

const FILES: Record<string, string> = {
  'seeds/many.csv': SEED,
  'models/many.sql': `MODEL (name s.many, kind SEED (path '../seeds/many.csv'), audits (unique_values(columns := (id))));`,
  'models/days.sql': `MODEL (name s.days, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 2), audits (not_null(columns := (n))));
    SELECT DATE '2024-01-01' + (id % 31)::INTEGER AS day, count(*) AS n FROM s.many
    WHERE DATE '2024-01-01' + (id % 31)::INTEGER BETWEEN @start_ds AND @end_ds GROUP BY ALL`,
  'models/labels.sql': `MODEL (name s.labels, kind FULL, audits (not_null_non_blocking(columns := (label))));
    SELECT nullif(label, 'label 7') AS label, count(*) AS rows FROM s.many GROUP BY ALL -- one is missing`,
  'models/total.sql': `MODEL (name s.total, kind FULL, audits (not_null(columns := (n))));
    SET VARIABLE days_of_total = 10;
    SELECT sum(n) AS n, max(day) AS day FROM s.days;
    INSERT INTO @this_model VALUES (getvariable('days_of_total'), NULL)`,
  'models/counted.sql': `MODEL (name s.counted, kind FULL, columns (n BIGINT));
    SELECT count(*) AS n FROM s.counted`,
  'models/named.sql': `MODEL (name s.named, kind VIEW);
    SELECT labels.label, total.n FROM s.labels, s.total WHERE total.day IS NOT NULL`,
  ...Object.fromEntries(
    Array.from({ length: 20 }, (_, nth) => [
      `models/base_${nth}.sql`,
      `MODEL (name s.base_${nth}, kind FULL);
       SELECT range AS n, hash(range, ${nth}) % 1000 AS value FROM range(300000)`,
    ]),
  ),
}
const MODELS = Object.keys(FILES).length - 1

let temporal: TestServer
beforeAll(async () => {
  await extensionDirectory('httpfs', 'quack')
  temporal = await startTestServer()
}, 120_000)
afterAll(() => temporal.close())

test('all kinds of models, from seeds that the server cannot see; what is unchanged is not built again', async () => {
  const { root, connection, server } = await createOnServer()
  const project = await openProject(temporal, root, { connection })

  const report = await project.build({ executionTime: EXECUTION_TIME })

  expect(report).toMatchObject({ status: 'succeeded', promoted: true })
  expect(report.counts).toMatchObject({ success: MODELS - 1, warn: 1, error: 0, skipped: 0 })
  expect(modelOf(report, 's.many')).toMatchObject({ rows: SEED_ROWS, attempts: 1 })
  expect(modelOf(report, 's.labels').audits).toMatchObject([{ status: 'warn', failures: 1 }])
  expect(await digestTables((sql) => project.rows(sql))).toEqual(await inFile())
  await expectSound(server)

  const second = await project.build({ executionTime: EXECUTION_TIME })
  expect(second).toMatchObject({ status: 'succeeded', counts: { success: 0, error: 0 } })

  const blocking = (FILES['models/labels.sql'] ?? '')
    .replace('_non_blocking', '')
    .replace('GROUP BY', 'WHERE id > 0 GROUP BY')
  await writeFiles(root, { 'models/labels.sql': blocking })
  const failed = await project.build({ executionTime: EXECUTION_TIME })
  expect(failed).toMatchObject({ status: 'failed', promoted: false, counts: { error: 1 } })
  expect(modelOf(failed, 's.labels')).toMatchObject({
    status: 'error',
    attempts: 1,
    audits: [{ name: 'not_null', status: 'fail', failures: 1 }],
  })
  expect(await digestTables((sql) => project.rows(sql))).toEqual(await inFile())
})

test('workers that are killed in mid-upload and in mid-query: the next one goes on, no row is doubled', async () => {
  const { root, server } = await createOnServer()
  const handle = await startBuildOn('quack-killed')
  const first = startWorker('quack-killed', root)
  await first.ready
  await started(first, (id) => id.includes('many'))
  await pause(1500)
  expect([...first.running].join()).toContain('many')
  await first.kill()

  const second = startWorker('quack-killed', root)
  await second.ready
  await started(second, () => true)
  await pause(50)
  expect(second.running.size).toBeGreaterThan(0)
  await second.kill()

  const last = startWorker('quack-killed', root)
  const summary = await handle.result()
  await last.kill()
  expect(summary).toMatchObject({ status: 'succeeded', promoted: true, counts: { error: 0, warn: 1 } })
  expect(await digestTables((sql) => server.run(sql))).toEqual(await inFile())
  await expectSound(server)
  expect(await server.run('FROM millrace.failures')).toEqual([])
})

test('a server that is killed in mid-build and comes back: the build succeeds, the tables are right', async () => {
  const { root, server } = await createOnServer()
  const handle = await startBuildOn('quack-server-killed')
  const worker = startWorker('quack-server-killed', root)
  await worker.ready
  await started(worker, (id) => id.includes('base_1'))
  await pause(300)
  await server.kill()
  // Longer than a step tries by itself.
  await pause(15_000)
  await server.restart()

  expect(await handle.result()).toMatchObject({ status: 'succeeded', promoted: true, counts: { error: 0, warn: 1 } })
  await worker.kill()
  expect(await digestTables((sql) => server.run(sql))).toEqual(await inFile())
  await expectSound(server)
})

interface OnServer {
  root: string
  server: QuackServer
  connection: Record<string, unknown>
}

/** The project, and a server in a folder of its own. */
async function createOnServer(): Promise<OnServer> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-quack-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const server = await startQuackServer({ file: join(folder, 'served.duckdb'), token: TOKEN, cwd: folder })
  const connection = { type: 'quack', uri: server.uri, token: TOKEN, extension_directory: server.extensions }
  const root = await createProject({
    ...FILES,
    'config.yaml': `gateways: { quack: { connection: ${JSON.stringify({ ...connection, concurrent_tasks: 8 })} } }
model_defaults: { dialect: duckdb, start: 2024-01-01, cron: '@daily' }`,
  })
  return { root, server, connection: { ...connection, concurrent_tasks: 8 } }
}

let expected: Promise<Record<string, TableDigest>> | null = null

/** What a quiet build makes in a file. */
function inFile(): Promise<Record<string, TableDigest>> {
  return (expected ??= build())

  async function build(): Promise<Record<string, TableDigest>> {
    const root = await createProject(FILES)
    const queue = 'in-file'
    const worker = startWorker(queue, root)
    await (await startBuildOn(queue)).result()
    await worker.kill()
    return digestTables((sql) => query(join(root, 'w.duckdb'), sql))
  }
}

function startWorker(taskQueue: string, project: string): WorkerProcess {
  return startWorkerProcess({ address: temporal.server.address, taskQueue, project, slots: 8 })
}

async function startBuildOn(taskQueue: string): Promise<WorkflowHandle<() => Promise<BuildSummary>>> {
  return temporal.client.workflow.start('buildProject', {
    taskQueue,
    workflowId: taskQueue,
    workflowTaskTimeout: '2s',
    args: [{ executionTime: EXECUTION_TIME, maxParallel: 100 }],
  })
}

/** When a step whose id matches has started. */
async function started(worker: WorkerProcess, matches: (activityId: string) => boolean): Promise<void> {
  await new Promise<void>((resolve) => worker.onStarted((id) => void (matches(id) && resolve())))
}

/** Nothing is recorded twice, nothing of an upload is left, nobody holds the environment. */
async function expectSound(server: QuackServer): Promise<void> {
  const [state] = await server.run(
    `SELECT
       (SELECT count(*) - count(DISTINCT (version, unit_start)) FROM millrace.ledger)::INTEGER AS repeated,
       (SELECT count(*) - count(DISTINCT (run_id, step_index)) FROM millrace.steps)::INTEGER AS repeated_steps,
       (SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE 'millrace_upload%')::INTEGER AS uploads,
       (SELECT count(*) FROM millrace.running_builds)::INTEGER AS running`,
  )
  expect(state).toEqual({ repeated: 0, repeated_steps: 0, uploads: 0, running: 0 })
}
