/** A Temporal server and, in this process, workers on it: for tests that look inside. */
import { Client, Connection, type WorkflowHandle } from '@temporalio/client'
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadWorkflowBundle } from '../../src/cli/workflow-bundle.ts'
import { MillracePlugin } from '../../src/index.ts'
import type { BuildInput, BuildSummary } from '../../src/payloads.ts'
import {
  startEmbeddedServer,
  type EmbeddedServer,
  type EmbeddedServerOptions,
} from '../../src/temporal/embedded-server.ts'

export interface TestServer {
  server: EmbeddedServer
  client: Client
  /** Runs a worker for the projects until it is stopped. */
  startWorker(projects: readonly string[], options?: Partial<WorkerOptions>): Promise<TestWorker>
  close(): Promise<void>
}

export interface TestWorker {
  worker: Worker
  stop(): Promise<void>
}

export const TASK_QUEUE = 'millrace-test'

// Before any worker: failures are what many tests are about, their log lines are noise.
Runtime.install({ logger: new DefaultLogger('ERROR') })

/** Every workflow task replays the whole history: `npm run test:uncached`. */
export const UNCACHED = process.env['MILLRACE_TEST_UNCACHED'] === undefined ? {} : { maxCachedWorkflows: 0 }

let bundle: Promise<{ code: string }> | null = null

/** Made once per state of the source. */
export function workflowBundle(): Promise<{ code: string }> {
  return (bundle ??= loadWorkflowBundle(process.env))
}

/**
 * One server per test file is enough: call it in `beforeAll`, close it in `afterAll`.
 * @param searchAttributes whether it knows the builds' search attributes, as embedded servers do.
 */
export async function startTestServer(
  options: Pick<EmbeddedServerOptions, 'searchAttributes' | 'dynamicConfig'> = {},
): Promise<TestServer> {
  const root = await mkdtemp(join(tmpdir(), 'millrace-server-'))
  const server = await startEmbeddedServer({ projectRoot: root, onProgress: () => {}, ...options })
  const connection = await Connection.connect({ address: server.address })
  const native = await NativeConnection.connect({ address: server.address })
  const bundling = workflowBundle()
  return {
    server,
    client: new Client({ connection }),
    async startWorker(projects, options = {}) {
      const worker = await Worker.create({
        connection: native,
        taskQueue: TASK_QUEUE,
        workflowBundle: await bundling,
        shutdownGraceTime: 0,
        ...UNCACHED,
        plugins: [new MillracePlugin({ projects })],
        ...options,
      })
      const running = worker.run()
      return {
        worker,
        async stop() {
          if (worker.getState() === 'RUNNING') worker.shutdown()
          await running
        },
      }
    },
    async close() {
      await native.close()
      await connection.close()
      await server.stop()
      await rm(root, { recursive: true, force: true })
    },
  }
}

let builds = 0

/** Starts a build under an id of its own. */
export async function startBuild(
  { client }: TestServer,
  input: BuildInput,
  workflowId = `build-${process.pid}-${++builds}`,
): Promise<WorkflowHandle<() => Promise<BuildSummary>>> {
  return client.workflow.start('buildProject', { taskQueue: TASK_QUEUE, workflowId, args: [input] })
}
