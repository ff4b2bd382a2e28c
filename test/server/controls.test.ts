import { WorkflowUpdateFailedError, type WorkflowHandle } from '@temporalio/client'
import { ApplicationFailure } from '@temporalio/common'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { packNumbers, unpackNumbers } from '../../src/graph/packed-numbers.ts'
import type { BuildProgress, BuildStep, BuildSummary, FinishInput } from '../../src/payloads.ts'
import { idleActivities, idleStep } from '../helpers/idle-activities.ts'
import { until } from '../helpers/slow-build.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

/** A build whose steps end when the test says so. */
interface GatedBuild {
  handle: WorkflowHandle<() => Promise<BuildSummary>>
  /** Names of the models whose steps have started, in order; twice when tried twice. */
  started: string[]
  end(model: string): void
  fail(model: string): void
  update(name: string, ...args: unknown[]): Promise<string>
  progress(): Promise<BuildProgress>
  untilStarted(...models: string[]): Promise<void>
  finishes: FinishInput[]
}

let server: TestServer
let builds = 0

beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

async function gatedBuild(steps: readonly BuildStep[], input = {}): Promise<GatedBuild> {
  const started: string[] = []
  const finishes: FinishInput[] = []
  let over = false
  const waiting = new Map<string, { resolve: () => void; reject: (error: Error) => void }>()
  const activities = idleActivities(steps, {
    onStep: ({ step }) => {
      if (over) return
      const gate = new Promise<void>((resolve, reject) => waiting.set(step.model, { resolve, reject }))
      started.push(step.model)
      return gate
    },
    onFinish: (finish) => void finishes.push(finish),
  })
  const taskQueue = `controls-${++builds}`
  const worker = await server.startWorker([], { taskQueue, activities, plugins: [] })
  const handle: GatedBuild['handle'] = await server.client.workflow.start('buildProject', {
    taskQueue,
    workflowId: taskQueue,
    args: [input],
  })
  handle.result().catch(() => undefined)
  onTestFinished(async () => {
    over = true
    await handle.cancel().catch(() => undefined)
    for (const { resolve } of waiting.values()) resolve()
    await handle.result().catch(() => undefined)
    await worker.stop()
  })
  return {
    handle,
    started,
    finishes,
    end: (model) => waiting.get(model)?.resolve(),
    fail: (model) => waiting.get(model)?.reject(ApplicationFailure.nonRetryable(`no ${model}`, 'SQL')),
    update: (name, ...args) =>
      handle.executeUpdate<string, [unknown, ...unknown[]]>(name, { args: args as [unknown, ...unknown[]] }),
    progress: () => handle.query<BuildProgress>('progress'),
    async untilStarted(...models) {
      await until(`${models.join(', ')} started`, () =>
        models.every((model) => started.includes(model)) ? true : null,
      )
    },
  }
}

function gate(): { opened: Promise<void>; open: () => void } {
  let open: () => void = () => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open: () => open() }
}

/** a → b → c, and d beside them. */
const CHAIN = [idleStep('s.a'), idleStep('s.b', [0]), idleStep('s.c', [1]), idleStep('s.d')]

async function refusal(update: Promise<string>): Promise<string> {
  const error: unknown = await update.then(
    (answer) => new Error(`accepted: ${answer}`),
    (reason: unknown) => reason,
  )
  return error instanceof WorkflowUpdateFailedError ? (error.cause?.message ?? '') : String(error)
}

describe('a running build', () => {
  test('is paused: what runs ends, nothing more starts until it is resumed', async () => {
    const build = await gatedBuild(CHAIN)
    await build.untilStarted('s.a', 's.d')
    expect(await build.update('pause')).toMatch(/^Paused: .*; 2 steps run to their end$/)
    build.end('s.a')
    await until('a done', async () => ((await build.progress()).stepsDone === 1 ? true : null))
    expect(await build.progress()).toMatchObject({ paused: true, running: [{ name: 's.d' }] })
    build.end('s.d')
    await until('d done', async () => ((await build.progress()).stepsDone === 2 ? true : null))
    expect(build.started).toEqual(['s.a', 's.d'])
    await build.update('resume')
    await build.untilStarted('s.b')
    build.end('s.b')
    await build.untilStarted('s.c')
    build.end('s.c')
    expect(await build.handle.result()).toMatchObject({ status: 'succeeded', counts: { success: 4 } })
  })

  test('runs more or fewer steps at once, from then on', async () => {
    const steps = Array.from({ length: 8 }, (_, index) => idleStep(`s.m${index}`))
    const build = await gatedBuild(steps, { maxParallel: 2 })
    await build.untilStarted('s.m0', 's.m1')
    expect(await build.update('setParallel', 5)).toBe('Up to 5 steps in flight')
    await build.untilStarted('s.m0', 's.m1', 's.m2', 's.m3', 's.m4')
    expect(await build.progress()).toMatchObject({ window: 5 })
    await build.update('setParallel', 1)
    for (const model of ['s.m0', 's.m1', 's.m2', 's.m3']) build.end(model)
    await until('four done', async () => ((await build.progress()).stepsDone === 4 ? true : null))
    expect(build.started.length).toBe(5)
    build.end('s.m4')
    await build.untilStarted('s.m5')
    expect(await build.update('setParallel', 400)).toBe('Up to 16 steps in flight, which is what the connection allows')
    await build.untilStarted('s.m6', 's.m7')
    for (const { model } of steps) build.end(model)
    expect(await build.handle.result()).toMatchObject({ status: 'succeeded' })
  })

  test('leaves a model out that waits or runs, with what reads it, and does not promote', async () => {
    const build = await gatedBuild([...CHAIN, idleStep('s.e', [3])])
    await build.untilStarted('s.a', 's.d')
    expect(await build.update('skipModel', 'S.B')).toMatch(/^Skipped 's.b'\. Nothing will be promoted/)
    build.end('s.a')
    expect((await build.progress()).problems).toEqual([
      { name: 's.b', status: 'skipped', reason: 'skipped by hand', error: null },
      { name: 's.c', status: 'skipped', reason: "skipped because 's.b' was skipped", error: null },
    ])
    expect(await build.update('skipModel', 's.d')).toMatch(/it is interrupted/)
    build.fail('s.d')
    const error: unknown = await build.handle.result().catch((reason: unknown) => reason)
    expect(error).toMatchObject({ cause: { type: 'BUILD_FAILED' } })
    const [{ status, ending }] = build.finishes as [FinishInput]
    expect([status, ending.failed, ending.canceled]).toEqual(['failed', '', ''])
    expect([unpackNumbers(ending.skipped), unpackNumbers(ending.causes)]).toEqual([
      [1, 2, 3, 4],
      [1, 1, 3, 3],
    ])
  })

  test('tries a failed model again while it runs, and what was skipped because of it', async () => {
    const build = await gatedBuild(CHAIN)
    await build.untilStarted('s.a', 's.d')
    build.fail('s.a')
    await until('a failed', async () => ((await build.progress()).counts.error === 1 ? true : null))
    expect(await build.progress()).toMatchObject({
      counts: { error: 1, skipped: 2, pending: 1 },
      problems: [
        { name: 's.a', status: 'error', error: { code: 'SQL', message: 'no s.a' } },
        { name: 's.b', reason: "skipped because 's.a' failed" },
        { name: 's.c', reason: "skipped because 's.a' failed" },
      ],
    })
    expect(await build.update('retryModel', 's.a')).toBe('Trying s.a again')
    await until('a again', () => (build.started.filter((model) => model === 's.a').length === 2 ? true : null))
    expect(await build.progress()).toMatchObject({ counts: { error: 0, skipped: 0, pending: 4 }, problems: [] })
    for (const model of ['s.a', 's.b', 's.c', 's.d']) {
      await build.untilStarted(model)
      build.end(model)
    }
    expect(await build.handle.result()).toMatchObject({ status: 'succeeded', promoted: true, counts: { success: 4 } })
  })

  test('stops at the first failure from then on, the one that has happened included', async () => {
    const build = await gatedBuild([...CHAIN, idleStep('s.e', [3])])
    await build.untilStarted('s.a', 's.d')
    build.fail('s.a')
    await until('a failed', async () => ((await build.progress()).counts.error === 1 ? true : null))
    await build.update('setFailFast', true)
    build.end('s.d')
    await build.handle.result().catch(() => null)
    expect(build.started).toEqual(['s.a', 's.d'])
    expect(build.finishes).toMatchObject([{ status: 'failed', ending: { failed: '0', skipped: '1*2 2' } }])
  })

  test('stays open while it is paused and something has failed, so that it can be tried again', async () => {
    const build = await gatedBuild([idleStep('s.a')])
    await build.untilStarted('s.a')
    await build.update('pause')
    build.fail('s.a')
    await until('a failed', async () => ((await build.progress()).counts.error === 1 ? true : null))
    await build.update('retryModel')
    await build.update('resume')
    await until('a again', () => (build.started.length === 2 ? true : null))
    build.end('s.a')
    expect(await build.handle.result()).toMatchObject({ status: 'succeeded' })
  })

  test('is cancelled while it is paused', async () => {
    const build = await gatedBuild(CHAIN, { maxParallel: 1 })
    await build.untilStarted('s.a')
    await build.update('pause')
    build.end('s.a')
    await until('a done', async () => ((await build.progress()).stepsDone === 1 ? true : null))
    await build.handle.cancel()
    await expect(build.handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } })
    expect(build.finishes).toMatchObject([{ status: 'canceled' }])
  })

  test('is recorded like any other when it is cancelled while its plan is read', async () => {
    const steps = Array.from({ length: 1_500 }, (_, index) => idleStep(`s.m${index}`))
    const finishes: FinishInput[] = []
    const reading = gate()
    const idle = idleActivities(steps, { onFinish: (finish) => void finishes.push(finish) })
    const readPlanSlice: typeof idle.readPlanSlice = async (input) => {
      await reading.opened
      return idle.readPlanSlice(input)
    }
    const taskQueue = 'reading'
    const worker = await server.startWorker([], { taskQueue, activities: { ...idle, readPlanSlice }, plugins: [] })
    onTestFinished(() => worker.stop())
    const handle = await server.client.workflow.start('buildProject', { taskQueue, workflowId: taskQueue, args: [{}] })
    await until('the plan being read', async () => {
      const { raw } = await handle.describe()
      return raw.pendingActivities?.some(({ activityId }) => activityId === 'plan-2') === true ? true : null
    })
    await handle.cancel()
    await until('the cancellation known', async () => {
      const { events = [] } = await handle.fetchHistory()
      const asked = events?.findIndex((event) => event.workflowExecutionCancelRequestedEventAttributes != null) ?? -1
      return asked >= 0 &&
        events?.slice(asked).some((event) => event.workflowTaskCompletedEventAttributes != null) === true
        ? true
        : null
    })
    reading.open()
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } })
    const { events } = await handle.fetchHistory()
    expect(events?.filter((event) => event.activityTaskCancelRequestedEventAttributes != null)).toEqual([])
    expect(finishes).toMatchObject([{ status: 'canceled', ending: { canceled: packNumbers([...steps.keys()]) } }])
  })

  test('refuses what makes no sense, and nothing of it is in its history', async () => {
    const build = await gatedBuild(CHAIN)
    await build.untilStarted('s.a', 's.d')
    const before = (await build.handle.fetchHistory()).events?.length
    expect(await refusal(build.update('setParallel', 0))).toBe('expected a whole number from 1 to 500; got 0')
    expect(await refusal(build.update('setParallel', '4'))).toBe('expected a whole number from 1 to 500; got "4"')
    expect(await refusal(build.update('setFailFast', 'yes'))).toBe('expected true or false; got "yes"')
    expect(await refusal(build.update('skipModel', 's.aa'))).toBe(
      "expected a model that this build builds; got 's.aa'. Did you mean 's.a'?",
    )
    expect(await refusal(build.update('skipModel'))).toMatch(/^expected the name of a model/)
    expect(await refusal(build.update('retryModel', 's.a'))).toBe("'s.a' has not failed")
    expect(await refusal(build.update('retryModel'))).toMatch(/there is none$/)
    const after = (await build.handle.fetchHistory()).events ?? []
    expect(after.filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes != null)).toEqual([])
    expect(after.length).toBe(before)
  })

  test('tells the Web UI what each of its controls does', async () => {
    const build = await gatedBuild(CHAIN)
    await build.untilStarted('s.a')
    const metadata = await build.handle.query<{
      definition: { updateDefinitions: { name: string; description: string }[] }
    }>('__temporal_workflow_metadata')
    const described = metadata.definition.updateDefinitions.filter(({ description }) => description.length > 10)
    expect(new Set(described.map(({ name }) => name))).toEqual(
      new Set(['pause', 'resume', 'retryModel', 'setFailFast', 'setParallel', 'skipModel']),
    )
  })
})
