/**
 * Records a history of every way a build's workflow can go, for the replay tests: a change of the workflow's code must be able to
 * take up what an older one has begun. Run it for a release, into a folder of the release's own; what is there is never replaced.
 * tsx scripts/record-histories.ts FOLDER
 */
import { ApplicationFailure } from '@temporalio/activity'
import { ScheduleOverlapPolicy, type WorkflowHandle } from '@temporalio/client'
import proto from '@temporalio/proto'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { BuildPlan, BuildProgress, BuildStep, Occupied } from '../src/payloads.ts'
import { runsOf } from '../test/helpers/history.ts'
import { idleActivities, idleStep, type IdleActivities, type IdleOptions } from '../test/helpers/idle-activities.ts'
import { until } from '../test/helpers/slow-build.ts'
import { startTestServer } from '../test/helpers/worker.ts'

const { History } = proto.temporal.api.history.v1
const folder = resolve(process.argv[2] ?? '')
if (process.argv[2] === undefined || existsSync(folder)) throw new Error('expected a folder that does not exist yet')
await mkdir(folder, { recursive: true })

/** a → b → c, and d beside them. */
const CHAIN = [idleStep('s.a'), idleStep('s.b', [0]), idleStep('s.c', [1]), idleStep('s.d')]
/** More than the server lets one run have. */
const MANY = Array.from({ length: 60 }, (_, index) => idleStep(`s.m${index}`, index < 4 ? [] : [index - 4]))
const EVENTS_OF_RUN = 100
const OTHER = { workflowId: 'other', runId: 'other-run' }

const server = await startTestServer({
  dynamicConfig: [`limit.historyCount.suggestContinueAsNew=${EVENTS_OF_RUN}`],
})

interface Scenario {
  steps?: readonly BuildStep[]
  input?: object
  options?: IdleOptions
  activities?: (idle: IdleActivities) => object
  /** What happens while it runs. */
  during?: (handle: WorkflowHandle) => Promise<unknown>
}

try {
  await record('succeeded', {})
  await record('no-steps', { steps: [] })
  await record('failed', { options: { onStep: failing('s.a') } })
  await record('fail-fast', { input: { failFast: true, maxParallel: 1 }, options: { onStep: failing('s.a') } })
  await record('not-planned', { activities: (idle) => ({ ...idle, planProject: refuse }) })
  await record('retried', { options: { onStep: failingOnce('s.a') } })
  await record('cancelled', { ...held(), during: (handle) => handle.cancel() })
  await record('cancelled-while-planned', {
    activities: (idle) => ({ ...idle, planProject: forever }),
    during: (handle) => handle.cancel(),
  })
  await record('searchable', { activities: (idle) => ({ ...idle, ...searchable(idle) }) })
  await record('steered', steered())
  await record('continued', { steps: MANY })
  await record('continued-and-failed', { steps: MANY, options: { onStep: failing('s.m5') } })
  await record('queued', { input: { onConflict: 'queue' }, activities: (idle) => occupied(idle, 2) })
  await record('joined', { input: { onConflict: 'join' }, activities: (idle) => occupied(idle, 1) })
  await record('left-the-queue', {
    input: { onConflict: 'queue' },
    activities: (idle) => ({ ...occupied(idle, 1), awaitBuild: forever }),
    during: (handle) => handle.cancel(),
  })
  await record('repeated', { activities: (idle) => ({ ...idle, ...repeating(idle) }) })
  await recordScheduled()
} finally {
  await server.close()
}

async function record(
  name: string,
  { steps = CHAIN, input = {}, options, activities, during }: Scenario,
): Promise<void> {
  const idle = idleActivities(steps, options)
  const worker = await server.startWorker([], { taskQueue: name, activities: activities?.(idle) ?? idle, plugins: [] })
  try {
    const handle = await server.client.workflow.start('buildProject', {
      taskQueue: name,
      workflowId: name,
      args: [{ maxParallel: 4, ...input }],
    })
    if (during !== undefined) {
      await until(`${name} at work`, async () => ((await pending(handle)) > 0 ? true : null))
      await during(handle)
    }
    await handle.result().catch(() => null)
    await save(name, name)
  } finally {
    await worker.stop()
  }
}

async function recordScheduled(): Promise<void> {
  const name = 'scheduled'
  const worker = await server.startWorker([], { taskQueue: name, activities: idleActivities(CHAIN), plugins: [] })
  const schedule = await server.client.schedule.create({
    scheduleId: name,
    spec: { intervals: [{ every: '1 day' }] },
    action: { type: 'startWorkflow', workflowType: 'buildProject', taskQueue: name, args: [{}], workflowId: name },
  })
  await schedule.trigger(ScheduleOverlapPolicy.ALLOW_ALL)
  const started = await until('a scheduled build', async () => {
    const [action] = (await schedule.describe()).info.recentActions
    return action?.action.workflow.workflowId ?? null
  })
  await server.client.workflow.getHandle(started).result()
  await save(name, started)
  await schedule.delete()
  await worker.stop()
}

/** A file for each run. */
async function save(name: string, workflowId: string): Promise<void> {
  const runs = await runsOf(server.client, workflowId)
  for (const [nth, { history }] of runs.entries()) {
    const file = runs.length === 1 ? name : `${name}-${nth + 1}`
    await writeFile(join(folder, `${file}.binpb.gz`), gzipSync(History.encode(history).finish()))
    console.log(`${file}: ${history.events?.length} events`)
  }
}

async function pending(handle: WorkflowHandle): Promise<number> {
  return (await handle.describe()).raw.pendingActivities?.length ?? 0
}

function failing(model: string): NonNullable<IdleOptions['onStep']> {
  return ({ step }) => {
    if (step.model === model) throw ApplicationFailure.nonRetryable(`no ${model}`, 'SQL')
  }
}

function failingOnce(model: string): NonNullable<IdleOptions['onStep']> {
  let failed = false
  return ({ step }) => {
    if (step.model !== model || failed) return
    failed = true
    throw ApplicationFailure.retryable('the connection is lost', 'SQL')
  }
}

/** Steps that end when they are cancelled. */
function held(): Pick<Scenario, 'options'> {
  return { options: { onStep: forever } }
}

async function forever(): Promise<never> {
  const { Context } = await import('@temporalio/activity')
  const context = Context.current()
  const beating = setInterval(() => context.heartbeat(), 200)
  try {
    return await context.cancelled
  } finally {
    clearInterval(beating)
  }
}

function refuse(): Promise<never> {
  return Promise.reject(ApplicationFailure.nonRetryable('no such model', 'SELECTION'))
}

/** Everything that people may ask of a build, in one. */
function steered(): Scenario {
  const ends = new Map<string, (error?: Error) => void>()
  const onStep: NonNullable<IdleOptions['onStep']> = ({ step }) =>
    new Promise((resolve, reject) => ends.set(step.model, (error) => (error === undefined ? resolve() : reject(error))))
  return {
    options: { onStep },
    async during(handle) {
      const update = (name: string, ...args: unknown[]): Promise<unknown> =>
        handle.executeUpdate<unknown, [unknown, ...unknown[]]>(name, { args: args as [unknown, ...unknown[]] })
      const done = (steps: number): Promise<unknown> =>
        until(`${steps} steps`, async () => {
          const { stepsDone, counts } = await handle.query<BuildProgress>('progress')
          return stepsDone + counts.error + counts.skipped >= steps ? true : null
        })
      const end = async (model: string, error?: Error): Promise<void> => {
        ;(await until(model, () => ends.get(model) ?? null))(error)
        ends.delete(model)
      }
      await update('pause')
      await update('setParallel', 2)
      await update('setFailFast', false)
      await end('s.a', ApplicationFailure.nonRetryable('no s.a', 'SQL'))
      await end('s.d')
      await done(4)
      await update('retryModel', 's.a')
      await update('resume')
      await end('s.a')
      await done(2)
      await update('skipModel', 's.c')
      await end('s.b')
    },
  }
}

function searchable(idle: IdleActivities): object {
  const seen = async <T>(result: Promise<T>): Promise<T & { searchAttributes: boolean }> => ({
    ...(await result),
    searchAttributes: true,
  })
  return {
    planProject: (request: Parameters<IdleActivities['planProject']>[0]) =>
      seen(idle.planProject(request) as Promise<BuildPlan>),
    finishBuild: (input: Parameters<IdleActivities['finishBuild']>[0]) => seen(idle.finishBuild(input)),
  }
}

/** Another build comes before, so many times. */
function occupied(idle: IdleActivities, times: number): object {
  let left = times
  const answer: Occupied = { project: 'idle', environment: 'prod', gateway: 'local', waitsFor: OTHER }
  return {
    ...idle,
    planProject: (request: Parameters<IdleActivities['planProject']>[0]) =>
      left-- > 0 ? Promise.resolve(answer) : idle.planProject(request),
    awaitBuild: () =>
      Promise.resolve({
        status: 'succeeded',
        error: null,
        summary: {
          project: 'idle',
          environment: 'prod',
          status: 'succeeded',
          promoted: true,
          counts: {},
          problems: [],
        },
      }),
    leaveQueue: () => Promise.resolve(),
  }
}

function repeating(idle: IdleActivities): object {
  const repeats = { executionMs: Date.UTC(2024, 0, 1), maxParallel: 1, failFast: true }
  return {
    planProject: async (request: Parameters<IdleActivities['planProject']>[0]) => ({
      ...(await (idle.planProject(request) as Promise<BuildPlan>)),
      repeats,
    }),
  }
}
