import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client'
import { CancelledFailure } from '@temporalio/common'
import { basename } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { toMillraceError } from '../../src/cli/remote-error.ts'
import { buildVerb } from '../../src/cli/verbs/build.ts'
import type { MillraceError } from '../../src/errors.ts'
import type { BuildProgress, BuildReport, BuildSummary } from '../../src/payloads.ts'
import { ensureState } from '../../src/state/schema.ts'
import { errorOf, runVerb, type VerbResult } from '../cli/run-verb.ts'
import { openProject, type BuiltProject } from '../helpers/built-project.ts'
import { openGatedProject } from '../helpers/gated-project.ts'
import { createProject, TWO_MODELS, writeFiles } from '../helpers/project.ts'
import { until } from '../helpers/slow-build.ts'
import { startBuild, startTestServer, TASK_QUEUE, type TestServer } from '../helpers/worker.ts'
import { startWorkerProcess } from '../helpers/worker-process.ts'

type Build = WorkflowHandle<() => Promise<BuildSummary>>

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

test('builds that queue have the environment one after the other, in the order they came, whoever leaves', async () => {
  const project = await openGatedProject(server)
  const holder = await project.hold(`holder ${project.root}`)
  const waiting: Build[] = []
  for (const id of ['first', 'second', 'third', 'fourth']) {
    waiting.push(await startBuild(server, { onConflict: 'queue' }, `${id} ${project.root}`))
    await until(id, async () => ((await queue(project)).length === waiting.length ? true : null))
  }
  const [first, second, third, fourth] = waiting
  await untilWaitsFor(second, first)
  await first?.cancel()
  await expect(first?.result()).rejects.toMatchObject({ cause: expect.any(CancelledFailure) as unknown })
  expect(await queue(project)).toEqual([second, third, fourth].map((build) => build?.workflowId))
  await third?.terminate()
  await untilWaitsFor(fourth, second)
  const refused = await failureOf(await startBuild(server, { onConflict: 'reject' }))
  expect(refused.code).toBe('BUILD_RUNNING')
  expect(refused.message).toContain(`is being built by '${holder.workflowId}'`)
  expect(refused.hint).toContain('--on-conflict')

  project.openGate()
  expect(await holder.result()).toMatchObject({ status: 'succeeded', promoted: true })
  expect(await second?.result()).toMatchObject({ status: 'succeeded', counts: { unchanged: 1 } })
  expect(await fourth?.result()).toMatchObject({ status: 'succeeded', counts: { unchanged: 1 } })
  expect(await builds(project)).toEqual([holder, second, fourth].map((build) => build?.workflowId))
  expect(await queue(project)).toEqual([])
  // It waited for the first, and then for the holder; however long that took.
  expect(await scheduled(second)).toEqual([
    'planProject',
    'awaitBuild',
    'planProject',
    'awaitBuild',
    'planProject',
    'finishBuild',
  ])
})

test('of builds that come at the same moment each has its turn, or is told who has it', async () => {
  const project = await openProject(server, await createProject(TWO_MODELS))
  const queued = await Promise.all([1, 2, 3, 4].map(() => startBuild(server, { onConflict: 'queue' })))
  for (const build of queued) expect(await build.result()).toMatchObject({ status: 'succeeded' })
  expect(await queue(project)).toEqual([])

  const rejected = await Promise.allSettled([1, 2, 3, 4].map(async () => (await startBuild(server, {})).result()))
  const reasons = rejected.flatMap((end) => (end.status === 'rejected' ? [toMillraceError(end.reason)] : []))
  expect(reasons.length).toBeLessThan(4)
  for (const reason of reasons) expect(reason).toMatchObject({ code: 'BUILD_RUNNING' })
  expect(await project.rows('FROM millrace.running_builds')).toEqual([])
})

test('a build that joins takes the result of the running one, and builds when nothing runs', async () => {
  const project = await openGatedProject(server)
  const holder = await project.hold(`holder ${project.root}`)
  const joining = await startBuild(server, { onConflict: 'join' })
  await untilWaitsFor(joining, holder)
  project.openGate()
  const { runId } = await holder.describe()
  expect(await joining.result()).toMatchObject({
    status: 'succeeded',
    promoted: true,
    workflowId: joining.workflowId,
    counts: { success: 1 },
    joined: { workflowId: holder.workflowId, runId },
  })
  const alone: BuildSummary = await (await startBuild(server, { onConflict: 'join' })).result()
  expect(alone).toMatchObject({ status: 'succeeded', counts: { unchanged: 1 } })
  expect(alone.joined).toBeUndefined()
})

test('a build that joins ends as the running one: failed, or terminated', async () => {
  const project = await openGatedProject(server, {
    'models/bad.sql': `MODEL (name s.bad, kind FULL);\nSELECT error('no luck') AS x FROM s.gate`,
  })
  const failing = await project.hold(`failing ${project.root}`)
  const joining = await startBuild(server, { onConflict: 'join' })
  await untilWaitsFor(joining, failing)
  project.openGate()
  const failed = await failureOf(joining)
  expect(failed.code).toBe('BUILD_FAILED')
  expect(failed.message).toContain(failing.workflowId)
  expect(failed.message).toContain('no luck')

  const holder = await holdFromElsewhere(project)
  const left = await startBuild(server, { onConflict: 'join' })
  await untilWaitsFor(left, holder)
  await holder.terminate()
  expect(await failureOf(left)).toMatchObject({
    code: 'CANCELED',
    message: expect.stringContaining(`'${holder.workflowId}'`) as unknown,
  })
})

test('a build that preempts ends the running one and goes before those that queue', async () => {
  const root = await createProject({
    'rows.csv': 'rows\n1000000\n',
    'models/slow.sql': `MODEL (name s.slow, kind FULL);
SELECT count(*) AS n FROM 'rows.csv' AS c, range(1000000) AS l(x), range(c.rows) AS r(y) WHERE hash(x, y) % 3 = 1`,
  })
  const project = await openProject(server, root)
  const holder = await startBuild(server, {}, `millrace/${basename(root)}/prod`)
  await until('the slow model', async () => {
    const { running } = await holder.query<BuildProgress>('progress')
    return running.length > 0 ? true : null
  })
  const waiting = await startBuild(server, { onConflict: 'queue' })
  await untilWaitsFor(waiting, holder)
  await writeFiles(root, { 'rows.csv': 'rows\n1\n' })

  const { code, document: report } = await build(root, 'preempt')
  expect({ code, status: report.status, promoted: report.promoted }).toEqual({
    code: 0,
    status: 'succeeded',
    promoted: true,
  })
  await expect(holder.result()).rejects.toMatchObject({ cause: expect.any(CancelledFailure) as unknown })
  await waiting.result()
  expect(await builds(project)).toEqual([holder.workflowId, report.workflowId, waiting.workflowId])
})

test('of two builds that preempt the later one wins', async () => {
  const project = await openProject(server, await createProject(TWO_MODELS))
  const holder = await holdFromElsewhere(project)
  const earlier = await startBuild(server, { onConflict: 'preempt' })
  await untilWaitsFor(earlier, holder)
  const later = await startBuild(server, { onConflict: 'preempt' })
  await expect(earlier.result()).rejects.toMatchObject({ cause: expect.any(CancelledFailure) as unknown })
  await untilWaitsFor(later, holder)
  const { events } = await holder.fetchHistory()
  expect(events?.some((event) => event.workflowExecutionCancelRequestedEventAttributes != null)).toBe(true)
  await holder.terminate()
  expect(await later.result()).toMatchObject({ status: 'succeeded' })
})

test('a build that waits goes on waiting when its worker is killed', async () => {
  const root = await createProject(TWO_MODELS)
  const project = await openProject(server, root)
  const holder = await holdFromElsewhere(project)
  await project.stop()
  const script = { address: server.server.address, taskQueue: `killed ${root}`, project: root, slots: 4 }
  const first = startWorkerProcess(script)
  const waits = new Promise<void>((resolve) => {
    first.onStarted((id) => (id === 'wait' ? resolve() : undefined))
  })
  const waiting: Build = await server.client.workflow.start('buildProject', {
    taskQueue: script.taskQueue,
    workflowId: `waiting ${root}`,
    args: [{ onConflict: 'queue' }],
  })
  await waits
  await first.kill()
  await startWorkerProcess(script).ready
  await holder.terminate()
  expect(await waiting.result()).toMatchObject({ status: 'succeeded', promoted: true })
  expect(await scheduled(waiting)).toEqual([
    'planProject',
    'awaitBuild',
    'planProject',
    'buildModel',
    'buildModel',
    'finishBuild',
  ])
})

test('commands wait for, join or are refused by a build that somebody else started', async () => {
  const project = await openGatedProject(server)
  const { root } = project
  const holder = await project.hold(`nightly ${root}`)
  const waiting: Promise<VerbResult<BuildReport>>[] = []
  // The environment's usual id is the joining build's then: the other one needs its own.
  for (const onConflict of ['join', 'queue']) {
    await new Promise<void>((resolve) => {
      waiting.push(
        build(root, onConflict, (line) =>
          line === `Waiting for '${holder.workflowId}' to end` ? resolve() : undefined,
        ),
      )
    })
  }
  expect(await errorOf(build(root, 'reject'))).toMatchObject({
    code: 'BUILD_RUNNING',
    hint: expect.stringContaining('--on-conflict queue') as unknown,
  })
  project.openGate()

  const [joined, built] = await Promise.all(waiting)
  const succeeded = { code: 0, document: { status: 'succeeded', promoted: true, workflowId: holder.workflowId } }
  expect(joined).toMatchObject(succeeded)
  expect(joined?.said.some((line) => line.startsWith(`Joined '${holder.workflowId}'`))).toBe(true)
  expect(built).toMatchObject({ code: 0, document: { status: 'succeeded', promoted: false } })
  const own = new RegExp(`^millrace/${basename(root)}/prod/\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ$`)
  expect(built?.document.workflowId).toMatch(own)
})

/** `build --on-conflict …` as a command runs it. */
function build(
  root: string,
  onConflict: string,
  onSay: (line: string) => void = () => {},
): Promise<VerbResult<BuildReport>> {
  const where = ['--address', server.server.address, '--task-queue', TASK_QUEUE]
  return runVerb<BuildReport>(buildVerb, root, [...where, '--on-conflict', onConflict], { onSay })
}

async function failureOf(build: Build): Promise<MillraceError> {
  const error = await build.result().then(
    () => null,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof WorkflowFailedError)) throw new Error('expected a failed build', { cause: error })
  return toMillraceError(error) as MillraceError
}

/** A build that has the environment, on a queue that nobody serves: it ends when the test ends it. */
async function holdFromElsewhere(project: BuiltProject): Promise<Build> {
  const build: Build = await server.client.workflow.start('buildProject', {
    taskQueue: 'nobody',
    workflowId: `elsewhere ${project.root} ${Date.now()}`,
  })
  const { runId } = await build.describe()
  await ensureStateOf(project)
  await project.run(
    `INSERT INTO millrace.running_builds VALUES ('${basename(project.root)}', 'prod', '${build.workflowId}', '${runId}', now()::TIMESTAMP)`,
  )
  return build
}

async function ensureStateOf(project: BuiltProject): Promise<void> {
  await using lease = await project.lease()
  await ensureState(lease)
}

async function untilWaitsFor(build: Build | undefined, other: Build | undefined): Promise<void> {
  await until(`a build that waits for ${other?.workflowId}`, async () => {
    const progress = await build?.query<BuildProgress>('progress')
    return progress?.waitingFor?.workflowId === other?.workflowId ? true : null
  })
}

async function queue(project: BuiltProject): Promise<unknown[]> {
  const rows = await project.rows('SELECT workflow_id FROM millrace.build_queue ORDER BY position')
  return rows.map(({ workflow_id }) => workflow_id)
}

/** Ids of the workflows that have built, in order. */
async function builds(project: BuiltProject): Promise<unknown[]> {
  const rows = await project.rows('SELECT workflow_id FROM millrace.builds ORDER BY started_at')
  return rows.map(({ workflow_id }) => workflow_id)
}

/** Activities of a build, in order. */
async function scheduled(build: Build | undefined): Promise<unknown[]> {
  const history = await build?.fetchHistory()
  return (history?.events ?? []).flatMap(
    ({ activityTaskScheduledEventAttributes: event }) => event?.activityType?.name ?? [],
  )
}
