/**
 * Builds of as many models as Millrace takes, through a real server into a real DuckDB file. As many as MILLRACE_SOAK_MODELS
 * says; with fewer than the default the server suggests a new run earlier, so that a build takes several all the same.
 */
import { Client, Connection } from '@temporalio/client'
import { NativeConnection, Worker } from '@temporalio/worker'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MillracePlugin } from '../../src/index.ts'
import type { BuildProgress, BuildSummary } from '../../src/payloads.ts'
import { historyPayloads, runsOf, type WorkflowRun } from '../helpers/history.ts'
import { largeProject, type LargeProject, type Shape } from '../helpers/large-project.ts'
import { createProject, query } from '../helpers/project.ts'
import { createRandom } from '../helpers/random.ts'
import { startRestartableServer, type RestartableServer } from '../helpers/restartable-server.ts'
import { until } from '../helpers/slow-build.ts'
import { startWorkerProcess } from '../helpers/worker-process.ts'
import { workflowBundle } from '../helpers/worker.ts'

const FULL = 10_000
const MODELS = Number(process.env['MILLRACE_SOAK_MODELS'] ?? FULL)
const SUGGESTION = MODELS < FULL ? [`limit.historyCount.suggestContinueAsNew=${MODELS}`] : []
const LIMIT_MS = 60_000 + MODELS * 120

const MOST_EVENTS = 10_000
const MOST_BYTES = 10_000_000
const KIB_256 = 256 * 1024

describe.each(['wide', 'deep', 'tangled'] as const)(`${MODELS} models, %s`, (shape) => {
  test('are built, right, in runs of which each is small and can be read again', { timeout: LIMIT_MS }, async () => {
    const { server, client } = await open()
    const project = await openLarge(shape)
    const connection = await NativeConnection.connect({ address: server.address })
    const worker = await Worker.create({
      connection,
      taskQueue: shape,
      workflowBundle: await workflowBundle(),
      plugins: [new MillracePlugin({ projects: [project.root] })],
    })
    const summary = await worker.runUntil(() =>
      client.workflow.execute<() => Promise<BuildSummary>>('buildProject', {
        taskQueue: shape,
        workflowId: shape,
        args: [],
      }),
    )
    await connection.close()
    expect(summary).toMatchObject({ status: 'succeeded', promoted: true, counts: { success: MODELS, error: 0 } })
    expect(await valuesIn(project.root)).toEqual(project.values)
    await expectSoundRuns(await runsOf(client, shape))
  })
})

test(
  `${MODELS} models are built right while workers are killed and the server stops`,
  { timeout: 3 * LIMIT_MS },
  async () => {
    const { server, client } = await open()
    const project = await openLarge('tangled')
    const taskQueue = 'disturbed'
    const startWorker = () =>
      startWorkerProcess({ address: server.address, taskQueue, project: project.root, slots: 16 })
    const handle = await client.workflow.start<() => Promise<BuildSummary>>('buildProject', {
      taskQueue,
      workflowId: taskQueue,
      // A worker that dies with the workflow's next decision in its hands holds it up for no longer than this.
      workflowTaskTimeout: '5s',
      args: [],
    })
    const result = handle.result()
    const done = (share: number): Promise<unknown> =>
      until(
        `${share} of the steps`,
        async () => {
          const progress = await handle.query<BuildProgress>('progress').catch(() => null)
          return progress !== null && progress.stepsDone >= share * MODELS ? progress : null
        },
        LIMIT_MS,
      )

    let worker = startWorker()
    await done(0.2)
    await worker.kill()
    worker = startWorker()
    await done(0.4)
    await server.stop()
    await server.start()
    await done(0.6)
    await Promise.all([worker.kill(), server.stop()])
    await server.start()
    worker = startWorker()
    expect(await result).toMatchObject({ status: 'succeeded', promoted: true, counts: { success: MODELS } })
    await worker.kill()
    expect(await valuesIn(project.root)).toEqual(project.values)
    await expectSoundRuns(await runsOf(client, taskQueue))
  },
)

async function open(): Promise<{ server: RestartableServer; client: Client }> {
  const server = await startRestartableServer(['system.enableActivityEagerExecution=true', ...SUGGESTION])
  onTestFinished(() => server.close())
  const connection = await Connection.connect({ address: server.address })
  onTestFinished(() => connection.close())
  return { server, client: new Client({ connection }) }
}

async function openLarge(shape: Shape): Promise<LargeProject & { root: string }> {
  const project = largeProject(shape, MODELS, createRandom(11))
  return { ...project, root: await createProject(project.files) }
}

async function valuesIn(root: string): Promise<number[]> {
  const values: number[] = []
  const AT_ONCE = 500
  for (let first = 0; first < MODELS; first += AT_ONCE) {
    const places = Array.from({ length: Math.min(AT_ONCE, MODELS - first) }, (_, at) => first + at)
    const rows = await query(
      join(root, 'w.duckdb'),
      `SELECT place, x::BIGINT AS x FROM (${places.map((place) => `SELECT ${place} AS place, x FROM m.t${place}`).join(' UNION ALL ')}) ORDER BY place`,
    )
    values.push(...rows.map(({ x }) => Number(x)))
  }
  return values
}

async function expectSoundRuns(runs: readonly WorkflowRun[]): Promise<void> {
  expect(runs.length).toBeGreaterThan(1)
  for (const { history, runId } of runs) {
    expect(history.events?.length).toBeLessThan(MOST_EVENTS)
    const payloads = historyPayloads(history).map(({ bytes }) => bytes)
    expect(Math.max(...payloads)).toBeLessThan(KIB_256)
    expect(payloads.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(MOST_BYTES)
    await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, history, runId)
  }
}
