/** What operators do with one activity of a build: pause, unpause, reset. */
import type { Client } from '@temporalio/client'
import proto from '@temporalio/proto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createSlowProject, letSlowQueriesEnd, until, untilWriting } from '../helpers/slow-build.ts'
import { openProject } from '../helpers/built-project.ts'
import { startBuild, startTestServer, type TestServer } from '../helpers/worker.ts'

type Pending = proto.temporal.api.workflow.v1.IPendingActivityInfo
const { PENDING_ACTIVITY_STATE_PAUSED } = proto.temporal.api.enums.v1.PendingActivityState

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

test('a paused step is interrupted and stays pending, a reset one begins at attempt 1, an unpaused one runs once', async () => {
  const { client } = server
  const root = await createSlowProject()
  const project = await openProject(server, root)
  const handle = await startBuild(server, { executionTime: '2024-01-03' })
  const { workflowId } = handle
  await untilWriting(client, workflowId)
  const request = { namespace: 'default', execution: { workflowId }, identity: 'an operator' }

  await client.workflowService.pauseActivity({ ...request, id: 's.slow', reason: 'the warehouse is busy' })
  await until('s.slow paused', async () => {
    const slow = await pendingOf(client, workflowId, 's.slow')
    return slow?.state === PENDING_ACTIVITY_STATE_PAUSED ? slow : null
  })
  await letSlowQueriesEnd(root)
  await client.workflowService.resetActivity({ ...request, id: 's.slow_days' })
  await until('s.slow_days done', async () =>
    (await pendingOf(client, workflowId, 's.slow_days')) === null ? true : null,
  )
  expect(await pendingOf(client, workflowId, 's.slow')).toMatchObject({ state: PENDING_ACTIVITY_STATE_PAUSED })
  expect(await project.rows('FROM s.fast').catch(() => 'not promoted')).toBe('not promoted')

  await client.workflowService.unpauseActivity({ ...request, id: 's.slow' })
  expect(await handle.result()).toMatchObject({ status: 'succeeded', promoted: true, counts: { success: 4, error: 0 } })
  // What an operator has interrupted is no attempt of anybody's.
  const report = await project.report(handle)
  expect(report.models.map(({ name, attempts, status }) => [name, attempts, status])).toEqual([
    ['s.fast', 1, 'success'],
    ['s.slow', 1, 'success'],
    ['s.slow_days', 1, 'success'],
    ['s.after', 1, 'success'],
  ])
})

async function pendingOf(client: Client, workflowId: string, activityId: string): Promise<Pending | null> {
  const { raw } = await client.workflow.getHandle(workflowId).describe()
  return raw.pendingActivities?.find((pending) => pending.activityId === activityId) ?? null
}
