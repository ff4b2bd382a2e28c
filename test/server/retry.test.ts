import { WorkflowFailedError } from '@temporalio/client'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { toMillraceError } from '../../src/cli/remote-error.ts'
import { retryVerb } from '../../src/cli/verbs/retry.ts'
import type { BuildProgress, BuildReport } from '../../src/payloads.ts'
import { errorOf, runVerb, type VerbResult } from '../cli/run-verb.ts'
import { builtModels, modelOf, openProject, statuses } from '../helpers/built-project.ts'
import { openGatedProject } from '../helpers/gated-project.ts'
import { createProject, writeFiles } from '../helpers/project.ts'
import { until } from '../helpers/slow-build.ts'
import { startBuild, startTestServer, TASK_QUEUE, type TestServer } from '../helpers/worker.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

/** `s.b` fails as long as the file says so; its definition stays as it is. */
const FILES = {
  'flag.csv': 'ok\nfalse\n',
  'models/a.sql': 'MODEL (name s.a, kind FULL);\nSELECT 1 AS x',
  'models/b.sql': `MODEL (name s.b, kind FULL);\nSELECT CASE WHEN ok THEN x ELSE error('no luck') END AS x FROM s.a, 'flag.csv'`,
  'models/c.sql': 'MODEL (name s.c, kind FULL);\nSELECT x FROM s.b',
}
const GOOD = { 'flag.csv': 'ok\ntrue\n' }

test('a retry builds what failed or was skipped, as of the time and in the way it was asked for first, and promotes', async () => {
  const project = await openProject(server, await createProject(FILES))
  const first = await project.build({ executionTime: '2024-01-05', select: '+s.c', maxParallel: 1 })
  expect(statuses(first)).toEqual({ 's.a': 'success', 's.b': 'error', 's.c': 'skipped' })
  const again = await project.build({ retryOf: first.workflowId })
  expect(statuses(again)).toEqual({ 's.a': 'success', 's.b': 'error', 's.c': 'skipped' })
  expect(builtModels(again)).toEqual(['s.b'])

  await writeFiles(project.root, { ...GOOD, 'models/new.sql': 'MODEL (name s.new, kind FULL);\nSELECT 1 AS x' })
  const handle = await startBuild(server, { retryOf: again.workflowId })
  expect(await handle.result()).toMatchObject({ status: 'succeeded', promoted: true })
  expect(await handle.query<BuildProgress>('progress')).toMatchObject({ window: 1 })
  expect(await project.names()).toEqual(['view s.a', 'view s.b', 'view s.c'])
  const [ledger] = await project.rows(
    `SELECT max(unit_end)::VARCHAR AS until, count(*) AS versions FROM millrace.ledger`,
  )
  expect(ledger).toEqual({ until: '2024-01-05 00:00:00', versions: 3 })
})

test('a retry builds a model again whose blocking audit found rows', async () => {
  const root = await createProject({
    'rows.csv': 'x\n-1\n',
    'models/a.sql': 'MODEL (name s.a, kind FULL);\nSELECT 1 AS x',
    'models/b.sql': `MODEL (name s.b, kind FULL, audits (forall(criteria := (x > 0))));\nSELECT r.x FROM s.a, 'rows.csv' AS r`,
  })
  const project = await openProject(server, root)
  const first = await project.build()
  expect(modelOf(first, 's.b').error?.code).toBe('AUDIT_FAILED')
  await writeFiles(root, { 'rows.csv': 'x\n5\n' })
  const again = await project.build({ retryOf: first.workflowId })
  expect(again).toMatchObject({ status: 'succeeded', promoted: true })
  expect(builtModels(again)).toEqual(['s.b'])
  expect(await project.rows('SELECT x FROM s.b')).toEqual([{ x: 5 }])
})

test('a retry of a full refresh keeps what the refresh has built, however often it is tried', async () => {
  const project = await openProject(server, await createProject({ ...FILES, ...GOOD }))
  await project.build()
  await writeFiles(project.root, FILES)
  const refresh = await project.build({ fullRefresh: true })
  expect(statuses(refresh)).toEqual({ 's.a': 'success', 's.b': 'error', 's.c': 'skipped' })
  const second = await project.build({ retryOf: refresh.workflowId })
  expect(builtModels(second)).toEqual(['s.b'])
  await writeFiles(project.root, GOOD)
  const third = await project.build({ retryOf: second.workflowId })
  expect(builtModels(third)).toEqual(['s.b', 's.c'])
  expect(third).toMatchObject({ status: 'succeeded', promoted: true })
  const versions = await project.rows('SELECT model, count(*) AS n FROM millrace.versions GROUP BY ALL ORDER BY model')
  expect(versions).toEqual(['s.a', 's.b', 's.c'].map((model) => ({ model, n: 2 })))
})

test('a retry is refused when there is no such build, or when it is asked for something else', async () => {
  const project = await openProject(server, await createProject(FILES))
  const refusal = async (input: object): Promise<unknown> => {
    const error = await (await startBuild(server, input)).result().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(WorkflowFailedError)
    return toMillraceError(error)
  }
  const unknown = { code: 'USAGE', message: expect.stringContaining("'nothing-of-it'") as unknown }
  expect(await refusal({ retryOf: 'nothing-of-it' })).toMatchObject(unknown)
  const first = await project.build()
  expect(await refusal({ retryOf: 'nothing-of-it' })).toMatchObject(unknown)
  expect(await refusal({ retryOf: first.workflowId, select: 's.b' })).toMatchObject({
    code: 'USAGE',
    message: expect.stringContaining("'select'") as unknown,
  })
})

test('`retry` repeats the latest build, says when there is nothing to retry, and tries again within a running build', async () => {
  const project = await openGatedProject(server, FILES)
  const { root } = project
  const retry = (onSay: (line: string) => void = () => {}): Promise<VerbResult<BuildReport>> =>
    runVerb<BuildReport>(retryVerb, root, ['--address', server.server.address, '--task-queue', TASK_QUEUE], { onSay })
  expect(await errorOf(retry())).toMatchObject({ code: 'USAGE', hint: expect.stringContaining('`build`') as unknown })

  const running = await project.hold(`nightly ${root}`)
  const untilFailed = (): Promise<boolean> =>
    until('a failure', async () => {
      const { counts } = await running.query<BuildProgress>('progress')
      return counts.error === 1 ? true : null
    })
  await untilFailed()
  const within: Promise<VerbResult<BuildReport>>[] = []
  await new Promise<void>((resolve) => {
    within.push(retry((line) => (line.startsWith('Trying s.b') ? resolve() : undefined)))
  })
  await untilFailed()
  project.openGate()
  expect(await within[0]).toMatchObject({ code: 1, document: { workflowId: running.workflowId, status: 'failed' } })

  await writeFiles(root, GOOD)
  const { code, document } = await retry()
  expect(document).toMatchObject({ status: 'succeeded', promoted: true, workflowId: running.workflowId })
  expect({ code, built: builtModels(document) }).toEqual({ code: 0, built: ['s.b', 's.c'] })
  expect(await retry()).toMatchObject({ code: 0, text: `Nothing to retry: '${running.workflowId}' succeeded` })
})
