import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { WorkflowHandle } from '@temporalio/client'
import { addSearchAttributes, readAttributeGap } from '../../src/temporal/search-attributes.ts'
import { startEmbeddedServer } from '../../src/temporal/embedded-server.ts'
import { doctorVerb } from '../../src/cli/verbs/doctor.ts'
import { runVerb } from '../cli/run-verb.ts'
import { createProject } from '../helpers/project.ts'
import { until } from '../helpers/slow-build.ts'
import { startBuild, startTestServer, type TestServer } from '../helpers/worker.ts'

const FILES = {
  'config.yaml': `project: shop
gateways: { local: { connection: { type: duckdb, database: w.duckdb } } }
model_defaults: { dialect: duckdb }
`,
  'models/good.sql': 'MODEL (name s.good, kind FULL);\nSELECT 1 AS a',
  'models/bad.sql': "MODEL (name s.bad, kind FULL);\nSELECT 'x'::INTEGER AS a",
}

describe('a server that knows the search attributes of builds', () => {
  let server: TestServer

  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server.close())

  test('lists builds by project, environment, how they ended, and how many models failed', async () => {
    const worker = await server.startWorker([await createProject(FILES)])
    try {
      const failed = await startBuild(server, {})
      await failed.result().catch(() => null)
      const succeeded = await startBuild(server, { select: 's.good' })
      await succeeded.result()
      expect(await listed(server, 'MillraceStatus="failed" AND MillraceModelsFailed=1', 1)).toEqual([failed.workflowId])
      expect(await listed(server, 'MillraceProject="shop" AND MillraceStatus="succeeded"', 1)).toEqual([
        succeeded.workflowId,
      ])
      expect(await listed(server, 'MillraceEnvironment="prod"', 2)).toHaveLength(2)
      expect(await listed(server, 'MillraceProject="other"', 0)).toEqual([])
      expect(await detailsOf(succeeded)).toContain(
        '[builds of shop](/namespaces/{namespace}/workflows?query=MillraceProject%3D%22shop%22)',
      )
      // One event after the plan and one at the end.
      const { events } = await succeeded.fetchHistory()
      const upserts = (events ?? []).filter((event) => event.upsertWorkflowSearchAttributesEventAttributes != null)
      expect(upserts).toHaveLength(2)
    } finally {
      await worker.stop()
    }
  })
})

describe('a server that knows none of them', () => {
  let server: TestServer

  beforeAll(async () => {
    server = await startTestServer({ searchAttributes: false })
  })
  afterAll(() => server.close())

  test('builds all the same', async () => {
    const worker = await server.startWorker([await createProject(FILES)])
    try {
      const before = await startBuild(server, { select: 's.good' })
      await before.result()
      const { events } = await before.fetchHistory()
      expect((events ?? []).filter((event) => event.workflowTaskFailedEventAttributes != null)).toEqual([])
      expect((events ?? []).some((event) => event.upsertWorkflowSearchAttributesEventAttributes != null)).toBe(false)
      expect(await detailsOf(before)).not.toContain('](/namespaces/')
    } finally {
      await worker.stop()
    }
  })

  test('gets them from `doctor --fix`; `doctor` alone only says so, and finds no fault', async () => {
    const root = await createProject(FILES)
    const asked = await diagnose(root, server)
    expect(asked).toEqual({
      code: 0,
      status: 'warn',
      message: expect.stringContaining('not registered: MillraceProject, MillraceEnvironment, ') as string,
      hint: '`doctor --fix` registers them.',
    })
    expect(await diagnose(root, server, '--fix')).toMatchObject({
      code: 0,
      status: 'ok',
      message: 'registered now: MillraceProject, MillraceEnvironment, MillraceStatus, MillraceModelsFailed',
    })
    expect(await diagnose(root, server)).toMatchObject({ code: 0, status: 'ok', hint: null })
  })

  test('is told when one of them has another type, which nothing is written to', async () => {
    const { connection } = server.client
    const name = 'MillraceStatus'
    await connection.operatorService.removeSearchAttributes({ namespace: 'default', searchAttributes: [name] })
    await addSearchAttributes(connection, 'default', [{ name, type: 'INT', code: 3 }])
    const { missing, foreign } = await readAttributeGap(connection, 'default')
    expect([missing.length, foreign.length]).toEqual([0, 1])
    expect(await diagnose(await createProject(FILES), server, '--fix')).toMatchObject({
      code: 0,
      status: 'warn',
      message: expect.stringContaining('expected MillraceStatus as Keyword') as string,
    })
  })
})

test('an embedded server gets them with data that is older than they are', async () => {
  const root = await createProject(FILES)
  const gaps: number[] = []
  for (const searchAttributes of [false, true, true]) {
    const server = await startEmbeddedServer({ projectRoot: root, searchAttributes, onProgress: () => {} })
    try {
      const { Connection } = await import('@temporalio/client')
      const connection = await Connection.connect({ address: server.address })
      const { missing } = await readAttributeGap(connection, server.namespace)
      gaps.push(missing.length)
      await connection.close()
    } finally {
      await server.stop()
    }
  }
  expect(gaps).toEqual([4, 0, 0])
})

/** Ids of the workflows that a search finds, once they are as many: the server's index is a moment behind. */
async function listed({ client }: TestServer, query: string, count: number): Promise<string[]> {
  return until(`${count} of ${query}`, async () => {
    const ids: string[] = []
    for await (const { workflowId } of client.workflow.list({ query })) ids.push(workflowId)
    return ids.length === count ? ids : null
  })
}

interface Diagnosis {
  checks: { name: string; status: string; message: string; hint: string | null }[]
}

/** What `doctor` says of the search attributes, and how it exits. */
async function diagnose(root: string, { server }: TestServer, ...options: string[]) {
  const words = ['--address', server.address, ...options]
  const { code, document } = await runVerb<Diagnosis>(doctorVerb, root, words, { env: process.env })
  const check = document.checks.find(({ name }) => name === 'search-attributes')
  return { code, status: check?.status, message: check?.message, hint: check?.hint }
}

async function detailsOf(handle: WorkflowHandle): Promise<string> {
  const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')
  return currentDetails
}
