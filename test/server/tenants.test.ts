/** What a client passes as Temporal headers reaches the sources of credentials in every activity of the build. */
import { Context } from '@temporalio/activity'
import { Client, type WorkflowClientInterceptor } from '@temporalio/client'
import { defaultPayloadConverter } from '@temporalio/common'
import { bundleWorkflowCode } from '@temporalio/worker'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadWorkflowBundle } from '../../src/cli/workflow-bundle.ts'
import type { AuthContext } from '../../src/connections/credentials/auth-context.ts'
import { MillracePlugin, workflowsPath } from '../../src/index.ts'
import { createProject, TWO_MODELS, writeFiles } from '../helpers/project.ts'
import { startQuackServer, type QuackServer } from '../helpers/quack-server.ts'
import { startTestServer, TASK_QUEUE, type TestServer } from '../helpers/worker.ts'

const OWN_WORKFLOWS = fileURLToPath(new URL('../fixtures/own-worker/workflows.ts', import.meta.url))

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

test('an activity’s token is asked for with the values of its workflow’s headers, in its own context', async () => {
  const { plugin, asked } = await setUp()
  const logger = { log: quiet, trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet }
  // One that was made for this plugin, and ours, which was made before.
  const bundles = {
    red: await bundleWorkflowCode({ workflowsPath, plugins: [plugin], logger }),
    blue: await loadWorkflowBundle(process.env),
  }
  for (const [tenant, workflowBundle] of Object.entries(bundles)) {
    const worker = await server.startWorker([], { workflowBundle, plugins: [plugin] })
    try {
      const options = { taskQueue: TASK_QUEUE, workflowId: `build of ${tenant}`, args: [{}] }
      expect(await clientOf(tenant).workflow.execute('buildProject', options)).toMatchObject({ status: 'succeeded' })
    } finally {
      await worker.stop()
    }
  }
  // Once for each of them, by whoever came first: each has one token.
  expect(asked).toEqual([
    { values: { tenant: 'red' }, workflowId: 'build of red', inActivityOf: 'build of red' },
    { values: { tenant: 'blue' }, workflowId: 'build of blue', inActivityOf: 'build of blue' },
  ])
})

test('a build that a workflow of the user’s own starts is for the tenant of that workflow', async () => {
  const { plugin, asked } = await setUp()
  const worker = await server.startWorker([], {
    workflowBundle: undefined as never,
    workflowsPath: OWN_WORKFLOWS,
    plugins: [plugin],
  })
  try {
    const options = { taskQueue: TASK_QUEUE, workflowId: 'parent', args: ['child'] }
    expect(await clientOf('green').workflow.execute('buildAsChild', options)).toBe('succeeded')
  } finally {
    await worker.stop()
  }
  expect(asked).toEqual([{ values: { tenant: 'green' }, workflowId: 'child', inActivityOf: 'child' }])
})

interface Asked {
  values: AuthContext['values']
  workflowId: string | undefined
  /** As the activity's own context says. */
  inActivityOf: string
}

/** A project on a server that lets each tenant in with a token of their own, and who asked for one. */
async function setUp(): Promise<{ plugin: MillracePlugin; asked: Asked[] }> {
  const root = await createProject(TWO_MODELS)
  const quack = await startQuackServer({ file: join(root, 'server.duckdb') })
  await createProjectConfig(root, quack)
  for (const tenant of ['red', 'blue', 'green']) await quack.addToken(`token of ${tenant}`, 120_000)
  const asked: Asked[] = []
  const plugin = new MillracePlugin({
    projects: [root],
    authHeaders: ['tenant'],
    tokens: {
      server: ({ values, workflowId }) => {
        const { workflowExecution } = Context.current().info
        asked.push({ values, workflowId, inActivityOf: workflowExecution?.workflowId ?? '' })
        return `token of ${values?.['tenant']}`
      },
    },
  })
  return { plugin, asked }
}

async function createProjectConfig(root: string, { uri, extensions }: QuackServer): Promise<void> {
  await writeFiles(root, {
    'config.yaml': `gateways:
  server:
    connection: { type: quack, uri: '${uri}', extension_directory: ${extensions} }
model_defaults: { dialect: duckdb, start: 2024-01-01, cron: '@daily' }
`,
  })
}

/** Whose workflows are started with these headers, the one that counts and others. */
function clientOf(tenant: string): Client {
  const interceptor: WorkflowClientInterceptor = {
    start: async (input, next) => {
      const headers = { tenant, region: 'north', _trace: 'mine' }
      const encoded = Object.entries(headers).map(([name, value]) => [name, defaultPayloadConverter.toPayload(value)])
      return next({ ...input, headers: { ...input.headers, ...Object.fromEntries(encoded) } })
    },
  }
  return new Client({ connection: server.client.connection, interceptors: { workflow: [interceptor] } })
}

function quiet(): void {
  // Webpack's progress.
}
