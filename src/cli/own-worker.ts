/** A worker inside a command: for builds that no worker of a deployment serves. */
import { NativeConnection, Worker } from '@temporalio/worker'
import { MillracePlugin } from '../plugin.ts'
import type { FoundServer } from '../temporal/find-server.ts'
import { commandIdentity } from './pollers.ts'

export interface OwnWorkerOptions {
  server: FoundServer
  taskQueue: string
  projects: readonly string[]
  env: NodeJS.ProcessEnv
  bundle: Promise<{ code: string }>
}

export interface OwnWorker {
  /** Rejects when the worker fails, resolves when it has stopped. */
  ended: Promise<void>
  /** Lets running activities roll back, closes the databases. */
  stop(): Promise<void>
}

export async function startOwnWorker(options: OwnWorkerOptions): Promise<OwnWorker> {
  const { server, taskQueue, projects, env } = options
  const connection = await NativeConnection.connect(server.connectionOptions)
  try {
    const worker = await Worker.create({
      connection,
      namespace: server.namespace,
      taskQueue,
      identity: commandIdentity(),
      workflowBundle: await options.bundle,
      // A command that ends must not wait for its queries: they are interrupted and rolled back.
      shutdownGraceTime: 0,
      plugins: [new MillracePlugin({ projects, env })],
    })
    const ended = runToEnd(worker, connection)
    // Whoever waits for the build hears of it; nobody waiting must not crash the process.
    ended.catch(() => null)
    return {
      ended,
      async stop() {
        if (worker.getState() === 'RUNNING') worker.shutdown()
        await ended
      },
    }
  } catch (error) {
    await connection.close()
    throw error
  }
}

async function runToEnd(worker: Worker, connection: NativeConnection): Promise<void> {
  try {
    await worker.run()
  } finally {
    await connection.close()
  }
}
