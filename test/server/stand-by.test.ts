/** Two workers of one task queue, one file: steps go to the one that holds it, and to the other when that one dies. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { WorkflowFailedError } from '@temporalio/client'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { readReport, remotePages } from '../../src/cli/read-report.ts'
import type { BuildReport, BuildSummary } from '../../src/payloads.ts'
import { createProject, query, TWO_MODELS } from '../helpers/project.ts'
import { sourcePath } from '../helpers/tsx-script.ts'
import { startWorkerProcess, type WorkerProcess } from '../helpers/worker-process.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

const MODELS = 24
const ROWS = 1000
/** Activities that a worker may have asked for when it begins to stand by. */
const ASKED_BEFORE = 8
/** Between two that it asks for later. */
const SHORTEST_PAUSE_MS = 2_000

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

test('steps go to the worker that holds the file; the other one says that it stands by, and asks for few of them', async () => {
  const root = await createProject(chains())
  const workers = [startWorker('both', root), startWorker('both', root)]
  await Promise.all(workers.map(({ ready }) => ready))
  const startedMs = Date.now()
  const { handle, result } = await startBuild('both')
  expect(await result).toMatchObject({ status: 'succeeded', promoted: true })
  const tookMs = Date.now() - startedMs

  const [holder, other] = workers.sort((a, b) => b.started - a.started)
  if (holder === undefined || other === undefined) throw new Error('no worker')
  // Every step, and one of planning and of promoting.
  expect(holder.started).toBe(MODELS + 2)
  expect(other.started).toBeLessThanOrEqual(ASKED_BEFORE + tookMs / SHORTEST_PAUSE_MS)
  for (const { name, attempts } of (await report('both'))?.models ?? []) expect(attempts, name).toBe(1)

  const file = join(root, 'w.duckdb')
  const told = `${file} is held by process ${holder.pid} (`
  expect(holder.logged.filter((line) => line.includes('stands by'))).toEqual([])
  expect(other.logged.filter((line) => line.includes('stands by'))).toEqual([expect.stringContaining(told)])
  const { events } = await handle.fetchHistory()
  const failures = (events ?? []).flatMap(
    (event) => event.activityTaskStartedEventAttributes?.lastFailure?.message ?? [],
  )
  expect(failures.length).toBeGreaterThan(0)
  for (const message of failures) expect(message).toContain(told)
})

test('when the holder is killed the other goes on, no row is doubled, and a third one stands by', async () => {
  const root = await createProject(chains())
  const workers = [startWorker('killed', root), startWorker('killed', root)]
  await Promise.all(workers.map(({ ready }) => ready))
  const { result } = await startBuild('killed')
  const holder = await Promise.race(workers.map(endedSteps))
  const other = workers.find((worker) => worker !== holder)
  await holder.kill()
  const killedMs = Date.now()
  if (other === undefined) throw new Error('no other worker')
  await endedSteps(other)
  expect(Date.now() - killedMs).toBeLessThan(30_000)
  const third = startWorker('killed', root)
  await third.ready

  expect(await result).toMatchObject({ status: 'succeeded', promoted: true, problems: [] })
  const { models = [] } = (await report('killed')) ?? {}
  expect(models).toHaveLength(MODELS)
  // One, and one more for those that died with their worker.
  for (const { name, attempts } of models) expect([1, 2], name).toContain(attempts)
  expect(other.logged).toContainEqual(expect.stringContaining(`takes the database over from process ${holder.pid}`))
  expect(third.logged).not.toContainEqual(expect.stringContaining('takes the database over'))

  await Promise.all([other.kill(), third.kill()])
  const all = names().map((name) => `SELECT * FROM s.${name}`)
  const [row] = await query(join(root, 'w.duckdb'), `SELECT count(*)::INTEGER AS n FROM (${all.join(' UNION ALL ')})`)
  expect(row).toEqual({ n: MODELS * ROWS })
})

test('a stranger that holds the file is named after the time to wait, however many workers there are', async () => {
  const root = await createProject(TWO_MODELS)
  const pid = await holdFile(join(root, 'w.duckdb'))
  const workers = [startWorker('stranger', root), startWorker('stranger', root)]
  await Promise.all(workers.map(({ ready }) => ready))
  const startedMs = Date.now()
  const { result } = await startBuild('stranger')
  const failed: unknown = await result.catch((error: unknown) => error)
  expect(Date.now() - startedMs).toBeLessThan(LOCK_TIMEOUT_SECONDS * 1000 + 10_000)
  expect(failed).toBeInstanceOf(WorkflowFailedError)
  expect((failed as WorkflowFailedError).cause?.cause).toMatchObject({
    type: 'DATABASE_LOCKED',
    message: expect.stringContaining(`process ${pid}`),
  })
})

const LOCK_TIMEOUT_SECONDS = 5

function startWorker(taskQueue: string, project: string): WorkerProcess {
  return startWorkerProcess({ address: server.server.address, taskQueue, project, slots: 8 })
}

async function startBuild(taskQueue: string) {
  const handle = await server.client.workflow.start<(input: object) => Promise<BuildSummary>>('buildProject', {
    taskQueue,
    workflowId: taskQueue,
    // One whose worker was killed goes to another soon.
    workflowTaskTimeout: '2s',
    args: [{ executionTime: '2024-02-01', lockTimeoutSeconds: LOCK_TIMEOUT_SECONDS }],
  })
  const result = handle.result()
  // A test may fail before it looks at it.
  result.catch(() => undefined)
  return { handle, result }
}

async function report(workflowId: string): Promise<BuildReport | null> {
  const { runId } = await server.client.workflow.getHandle(workflowId).describe()
  const pages = remotePages(server.client, workflowId, 60_000)
  return readReport(pages, { environment: 'prod', workflowId, runId, lockTimeoutSeconds: 10 })
}

/** Resolves with the worker when it has succeeded at a step: it prints no end of what it gives back. */
async function endedSteps(worker: WorkerProcess): Promise<WorkerProcess> {
  return new Promise((resolve) => {
    const seen = new Set<string>()
    worker.onStarted((id) => {
      if (id !== 'plan' && [...seen].some((before) => !worker.running.has(before))) resolve(worker)
      if (id !== 'plan') seen.add(id)
    })
  })
}

/** A process that has nothing to do with Millrace and has the file open. @returns its id. */
async function holdFile(file: string): Promise<number> {
  const script = sourcePath('test/connections/processes/hold-file.ts')
  const holder = spawn(process.execPath, ['--import', 'tsx', script, file], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void holder.kill('SIGKILL'))
  await once(holder.stdout, 'data')
  return holder.pid ?? 0
}

function names(): string[] {
  return Array.from({ length: MODELS }, (_, index) => `m${index}`)
}

/** Four chains, so that a build takes a while. */
function chains(): Record<string, string> {
  return Object.fromEntries(
    names().map((name, index) => {
      const parent = index < 4 ? `range(${ROWS}) AS r(n)` : `s.m${index - 4}`
      return [
        `models/${name}.sql`,
        `MODEL (name s.${name}, kind FULL);\nSELECT n + (SELECT count(*) FROM range(20000) AS a(x), range(300) AS b(y) WHERE hash(x, y, ${index}) % 7 = 1) * 0 AS n FROM ${parent}`,
      ]
    }),
  )
}
