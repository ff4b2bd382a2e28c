/** A build that is cancelled while a step commits: the report says what is in the ledger. */
import { Context } from '@temporalio/activity'
import { WorkflowFailedError } from '@temporalio/client'
import { CancelledFailure } from '@temporalio/common'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { createProject, query } from '../helpers/project.ts'
import { isCommitOf, watchStatements } from '../helpers/watch-statements.ts'
import { startBuild, startTestServer, TASK_QUEUE, type TestServer } from '../helpers/worker.ts'
import { readReport, remotePages } from '../../src/cli/read-report.ts'
import { join } from 'node:path'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

test('the step that was committing is reported as built, the others as cancelled', async () => {
  const root = await createProject({
    'models/first.sql': `MODEL (name k.first, kind FULL, audits (number_of_rows_non_blocking(threshold := 1)));
      SELECT range AS n FROM range(10)`,
    'models/second.sql': 'MODEL (name k.second, kind FULL); SELECT n FROM k.first',
  })
  const cancellations = new Map<string, AbortSignal>()
  const worker = await server.startWorker([root], {
    interceptors: {
      activity: [
        () => ({
          inbound: {
            execute(input, next) {
              const { info, cancellationSignal } = Context.current()
              cancellations.set(info.activityId, cancellationSignal)
              return next(input)
            },
          },
        }),
      ],
    },
  })
  onTestFinished(() => worker.stop())
  let told: string | null = null
  onTestFinished(
    watchStatements({
      before: async (statement) => {
        if (!isCommitOf(statement, 'INSERT INTO millrace.steps', "'k.first'")) return
        const signal = cancellations.get('k.first')
        if (signal === undefined) throw new Error('k.first is not running')
        await handle.cancel()
        if (!signal.aborted) await once(signal, 'abort')
        told = 'k.first'
      },
    }),
  )
  const handle = await startBuild(server, { executionTime: '2024-01-05' })

  const error = await handle.result().then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(told).toBe('k.first')
  expect(error).toBeInstanceOf(WorkflowFailedError)
  expect((error as WorkflowFailedError).cause).toBeInstanceOf(CancelledFailure)
  const { runId } = await handle.describe()
  const report = await readReport(remotePages(server.client, TASK_QUEUE, 30_000), {
    environment: 'prod',
    workflowId: handle.workflowId,
    runId,
    lockTimeoutSeconds: 10,
  })
  await worker.stop()

  expect(report).toMatchObject({ status: 'canceled', promoted: false, counts: { success: 1, canceled: 1, error: 0 } })
  expect(report?.models).toMatchObject([
    { name: 'k.first', status: 'success', rows: 10, attempts: 1, error: null },
    { name: 'k.second', status: 'canceled', rows: null, attempts: 0, error: null },
  ])
  const ledger = await query(
    join(root, 'w.duckdb'),
    'SELECT model FROM millrace.ledger JOIN millrace.versions USING (version)',
  )
  expect(ledger).toEqual([{ model: 'k.first' }])
})
