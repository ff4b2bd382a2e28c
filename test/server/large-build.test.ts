import { ApplicationFailure } from '@temporalio/client'
import { Worker } from '@temporalio/worker'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { unpackNumbers } from '../../src/graph/packed-numbers.ts'
import type { BuildProgress, BuildStep, FinishInput } from '../../src/payloads.ts'
import { historyPayloads, runsOf } from '../helpers/history.ts'
import { idleActivities, idleStep } from '../helpers/idle-activities.ts'
import { createRandom } from '../helpers/random.ts'
import { startTestServer, workflowBundle, type TestServer } from '../helpers/worker.ts'

const STEPS = 300
/** The server's suggestion, so that 300 steps are as many as 10,000 are by default. */
const EVENTS_OF_RUN = 250
const KIB_256 = 256 * 1024

let server: TestServer

beforeAll(async () => {
  server = await startTestServer({
    dynamicConfig: [`limit.historyCount.suggestContinueAsNew=${EVENTS_OF_RUN}`],
  })
})
afterAll(() => server.close())

test('a build too large for one history goes on in a next one, as if it were one', async () => {
  const steps = tangled()
  const below = descendants(steps, new Set([70]))
  const failing = new Set([70, [...steps.keys()].find((step) => step > 200 && !below.has(step)) ?? 0])
  const started: number[] = []
  const done = new Set<number>()
  const finishes: FinishInput[] = []
  const told: BuildProgress[] = []
  let asking = false
  const activities = idleActivities(steps, {
    async onStep({ index }) {
      for (const parent of steps[index]?.parents ?? [])
        if (!done.has(parent)) throw new Error(`${index} before ${parent}`)
      started.push(index)
      // One at a time: answers may overtake each other.
      if (index % 20 === 0 && !asking) {
        asking = true
        told.push(await server.client.workflow.getHandle('large').query<BuildProgress>('progress'))
        asking = false
      }
      if (failing.has(index)) throw ApplicationFailure.nonRetryable(`no ${index}`, 'SQL')
      done.add(index)
    },
    onFinish: (finish) => void finishes.push(finish),
  })
  const taskQueue = 'large'
  const worker = await server.startWorker([], { taskQueue, activities, plugins: [] })
  try {
    const handle = await server.client.workflow.start('buildProject', {
      taskQueue,
      workflowId: 'large',
      args: [{}],
    })
    await handle.executeUpdate('setParallel', { args: [12] })
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'BUILD_FAILED' } })
    // Nobody who follows it sees it begin again.
    const stepsTold = told.map(({ stepsDone }) => stepsDone)
    expect(stepsTold).toEqual([...stepsTold].sort((a, b) => a - b))
    expect(new Set(told.map(({ stepsTotal }) => stepsTotal))).toEqual(new Set([STEPS]))
    expect(told.length).toBeGreaterThan(5)

    const skipped = descendants(steps, failing)
    expect(new Set(started).size).toBe(started.length)
    expect(started.length).toBe(STEPS - skipped.size)
    const [{ ending, build }] = finishes as [FinishInput]
    expect(unpackNumbers(ending.failed)).toEqual([...failing])
    expect(new Set(unpackNumbers(ending.skipped))).toEqual(skipped)

    // To whoever asks it is one build, known by its first run.
    const runs = await runsOf(server.client, 'large')
    expect(build).toEqual({ workflowId: 'large', runId: runs[0]?.runId })
    expect(await handle.query<BuildProgress>('progress')).toMatchObject({
      runId: runs[0]?.runId,
      runs: runs.length,
      window: 12,
      stepsDone: STEPS - skipped.size - failing.size,
      counts: { error: 2, skipped: skipped.size },
    })

    expect(runs.length).toBeGreaterThan(2)
    // Temporal does not hand a summary on: the details of later runs say whose they are.
    const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')
    expect(currentDetails).toMatch(/^\*\*Failed, nothing promoted\*\* `idle · prod`: \d+ of 300 steps done/)
    for (const { history } of runs) {
      expect(history.events?.length).toBeLessThan(2 * EVENTS_OF_RUN)
      for (const { bytes } of historyPayloads(history)) expect(bytes).toBeLessThan(KIB_256)
      // A worker that has never seen it comes to the same: it throws where it does not.
      await Worker.runReplayHistory({ workflowBundle: await workflowBundle() }, history, 'large')
    }
  } finally {
    await worker.stop()
  }
})

/** Each reads up to three earlier ones. */
function tangled(): BuildStep[] {
  const random = createRandom(7)
  return Array.from({ length: STEPS }, (_, index) => {
    const parents = new Set(Array.from({ length: index === 0 ? 0 : 3 }, () => Math.floor(random() * index)))
    return idleStep(`schema_${index % 7}.model_${index}`, [...parents])
  })
}

function descendants(steps: readonly BuildStep[], of: ReadonlySet<number>): Set<number> {
  const found = new Set<number>()
  steps.forEach(({ parents }, index) => {
    if (!of.has(index) && parents.some((parent) => of.has(parent) || found.has(parent))) found.add(index)
  })
  return found
}
