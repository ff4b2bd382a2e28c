/** Workers as a deployment runs them: stopped in mid-build, started beside each other, for one project or several. */
import type { Client } from '@temporalio/client'
import { hostname } from 'node:os'
import { basename } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readPollers } from '../../src/cli/pollers.ts'
import { readReport, remotePages } from '../../src/cli/read-report.ts'
import type { BuildSummary } from '../../src/payloads.ts'
import { startWorker, type RunningCli } from '../helpers/cli.ts'
import { createProject, TWO_MODELS, writeFiles } from '../helpers/project.ts'
import { createSlowProject, letSlowQueriesEnd, until, untilWriting } from '../helpers/slow-build.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

let server: TestServer
let client: Client
beforeAll(async () => {
  server = await startTestServer()
  client = server.client
})
afterAll(() => server.close())

test('SIGTERM in mid-query loses no attempt: the step is rolled back, and the next worker builds it at attempt 1 of 1', async () => {
  const root = await createSlowProject()
  await writeFiles(root, { 'millrace.yaml': "steps:\n  - models: 's.*'\n    attempts: 1\n" })
  const first = await serve([root], '--grace', '0.2')
  const handle = await startBuild(root)
  await untilWriting(client, handle.workflowId)
  await letSlowQueriesEnd(root)
  first.process.kill('SIGTERM')
  const second = await serve([root])
  expect(await first.ended).toMatchObject({ code: 0, stderr: expect.stringContaining('running steps get 0.2 s') })

  expect(await handle.result()).toMatchObject({ status: 'succeeded', promoted: true })
  // Temporal tried them twice.
  const slow = (await startedAttempts(handle.workflowId)).filter(({ id }) => id.startsWith('s.slow'))
  expect(slow.map(({ attempt }) => attempt)).toEqual([2, 2])
  const report = await readReport(remotePages(client, `millrace-${basename(root)}`, 30_000), {
    environment: 'prod',
    workflowId: handle.workflowId,
    runId: handle.firstExecutionRunId,
    lockTimeoutSeconds: 10,
  })
  expect(report?.models.map(({ name, status, attempts }) => [name, status, attempts]).sort()).toEqual([
    ['s.after', 'success', 1],
    ['s.fast', 'success', 1],
    ['s.slow', 'success', 1],
    ['s.slow_days', 'success', 1],
  ])
  second.process.kill('SIGTERM')
  await second.ended
})

test('a step that ends within the grace is committed by the worker that began it, which then ends with 0', async () => {
  const query = 'SELECT count(*) AS n FROM range(1000000) AS l(x), range(150) AS r(y) WHERE hash(x, y) % 3 = 1'
  const root = await createProject({ 'models/a.sql': `MODEL (name s.a, kind FULL);\n${query}` })
  const worker = await serve([root])
  const handle = await startBuild(root)
  await until('s.a running', async () => {
    const { raw } = await handle.describe()
    return (
      raw.pendingActivities?.some(({ activityId, lastStartedTime }) => activityId === 's.a' && lastStartedTime) || null
    )
  })
  const stoppedMs = Date.now()
  worker.process.kill('SIGTERM')
  expect(await worker.ended).toMatchObject({ code: 0 })
  const events = (await handle.fetchHistory()).events ?? []
  const step = (await startedAttempts(handle.workflowId)).find(({ id }) => id === 's.a')
  const completed = events.find(({ activityTaskCompletedEventAttributes: completed }) => {
    return completed != null && Number(completed.startedEventId) === step?.eventId
  })
  expect(step).toMatchObject({ attempt: 1, identity: expect.stringContaining(`millrace@${hostname()}:`) })
  expect(Number(completed?.eventTime?.seconds ?? 0) * 1000).toBeGreaterThan(stoppedMs - 1000)
  await handle.terminate()
})

test('one process serves several projects, each on a queue of its own or all on one, and its identity names them', async () => {
  const roots = [await createProject(TWO_MODELS), await createProject(TWO_MODELS)]
  const names = roots.map((root) => basename(root))
  const own = await serve(roots)
  const builds = await Promise.all(roots.map((root) => startBuild(root)))
  for (const build of builds) expect(await build.result()).toMatchObject({ status: 'succeeded', promoted: true })
  const pid = own.process.pid
  for (const name of names) {
    expect(await pollersOf(`millrace-${name}`)).toEqual([`millrace@${hostname()}:${pid}:millrace-${name}`])
  }
  own.process.kill('SIGTERM')
  expect(await own.ended).toMatchObject({ code: 0 })

  const shared = await serve(roots, '--task-queue', 'nightly')
  const again = await Promise.all(roots.map((root) => startBuild(root, 'nightly')))
  for (const build of again) expect(await build.result()).toMatchObject({ counts: { unchanged: 2 } })
  expect(await pollersOf('nightly')).toEqual([
    `millrace@${hostname()}:${shared.process.pid}:nightly [${names.join(', ')}]`,
  ])
})

/** Resolves when it asks for work. */
async function serve(roots: readonly string[], ...options: readonly string[]): Promise<RunningCli> {
  const worker = startWorker([...roots, '--address', server.server.address, ...options])
  await worker.seen('Worker on task queue')
  return worker
}

async function startBuild(root: string, taskQueue = `millrace-${basename(root)}`) {
  return client.workflow.start<(input: object) => Promise<BuildSummary>>('buildProject', {
    taskQueue,
    workflowId: `millrace/${basename(root)}/prod`,
    args: [{ project: basename(root), executionTime: '2024-01-05' }],
  })
}

async function pollersOf(taskQueue: string): Promise<string[]> {
  return readPollers(client, { namespace: 'default', taskQueue })
}

interface StartedAttempt {
  eventId: number
  id: string
  attempt: number
  identity: string
}

/** The last attempt of each activity. */
async function startedAttempts(workflowId: string): Promise<StartedAttempt[]> {
  const events = (await client.workflow.getHandle(workflowId).fetchHistory()).events ?? []
  const idOf = new Map(
    events.map(({ eventId, activityTaskScheduledEventAttributes: scheduled }) => [
      Number(eventId),
      scheduled?.activityId ?? '',
    ]),
  )
  return events.flatMap(({ eventId, activityTaskStartedEventAttributes: started }) => {
    if (started == null) return []
    const { attempt, identity, scheduledEventId } = started
    const id = idOf.get(Number(scheduledEventId)) ?? ''
    return [{ eventId: Number(eventId), id, attempt: Number(attempt), identity: identity ?? '' }]
  })
}
