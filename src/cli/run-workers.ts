/** The workers of one process, one for each task queue, from their start until they have drained. Loads the SDK. */
import { NativeConnection, Runtime, Worker } from '@temporalio/worker'
import { MillracePlugin } from '../plugin.ts'
import type { FoundServer } from '../temporal/find-server.ts'
import type { TemporalConnectionOptions } from '../temporal/probe-server.ts'
import { onInterrupt } from './interrupt.ts'
import { workerIdentity } from './pollers.ts'

/** Projects of one task queue. */
export interface ServedQueue {
  taskQueue: string
  /** Folder by name. */
  projects: ReadonlyMap<string, string>
}

export interface RunWorkersOptions {
  server: FoundServer
  queues: readonly ServedQueue[]
  env: NodeJS.ProcessEnv
  bundle: Promise<{ code: string }>
  graceSeconds: number
  /** One line for whoever started it. */
  say: (line: string) => void
}

/** Rejects when the server does not answer in time. */
export async function connectWorkers(options: TemporalConnectionOptions, limitMs: number): Promise<NativeConnection> {
  const connecting = NativeConnection.connect(options)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${limitMs / 1000} s`)), limitMs)
  })
  try {
    return await Promise.race([connecting, late])
  } catch (error) {
    void connecting.then((connection) => connection.close()).catch(() => {})
    throw readable(error)
  } finally {
    clearTimeout(timer)
  }
}

/** The SDK shows its own structures, with what the system said somewhere inside. */
function readable(error: unknown): unknown {
  const said = error instanceof Error ? /message: "([^"]+)"/.exec(error.message)?.[1] : undefined
  return said === undefined ? error : new Error(said)
}

/** Of a process that has not come to a connection: else the end of the last one ends it. */
export async function endRuntime(): Promise<void> {
  await Runtime.instance().shutdown()
}

/** Resolves after SIGINT or SIGTERM, when every worker has drained, the databases are closed, and the connection. */
export async function runWorkers(connection: NativeConnection, options: RunWorkersOptions): Promise<void> {
  const { server, queues, graceSeconds, say } = options
  try {
    const workers = await Promise.all(queues.map((queue) => createWorker(connection, queue, options)))
    const stopAll = (): void => {
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown()
    }
    const interrupt = onInterrupt(() => {
      say(
        `Shutting down: running steps get ${graceSeconds} s, then they are interrupted, rolled back and left to other workers (Ctrl-C again leaves at once)`,
      )
      stopAll()
    })
    try {
      const ends = workers.map((worker) => worker.run())
      queues.forEach(({ taskQueue, projects }) => {
        say(`Worker on task queue '${taskQueue}' at ${server.address} for ${[...projects.values()].join(', ')}`)
      })
      if (server.uiUrl !== null) say(`Web UI: ${server.uiUrl}`)
      // One that fails takes the others with it: whoever watches the process starts it anew.
      await Promise.all(ends.map((end) => end.finally(stopAll)))
    } finally {
      interrupt.remove()
    }
  } finally {
    await connection.close()
  }
}

async function createWorker(
  connection: NativeConnection,
  { taskQueue, projects }: ServedQueue,
  { server, env, bundle, graceSeconds }: RunWorkersOptions,
): Promise<Worker> {
  return Worker.create({
    connection,
    namespace: server.namespace,
    taskQueue,
    identity: workerIdentity(taskQueue, [...projects.keys()]),
    workflowBundle: await bundle,
    shutdownGraceTime: Math.round(graceSeconds * 1000),
    plugins: [new MillracePlugin({ projects: [...projects.values()], env })],
  })
}
