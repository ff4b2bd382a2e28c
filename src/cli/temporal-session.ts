/** A command's way to Temporal: the server, a client, and a worker of its own where nobody named a server. */
import { Client, Connection } from '@temporalio/client'
import { MillraceError } from '../errors.ts'
import { loadConfig } from '../project/config.ts'
import { findTemporalServer, type FoundServer } from '../temporal/find-server.ts'
import { Cleanup } from './cleanup.ts'
import type { CommandContext } from './command.ts'
import { logToFile } from './log-file.ts'
import { startOwnWorker, type OwnWorker } from './own-worker.ts'
import { isServedHere, readPollers } from './pollers.ts'
import { loadWorkflowBundle } from './workflow-bundle.ts'

export interface TemporalSession {
  client: Client
  server: FoundServer
  /** The project's name. */
  project: string
  taskQueue: string
  /** Null where the workers are someone else's. */
  worker: OwnWorker | null
  /** Stops the worker, then the server if this command started it. */
  close(): Promise<void>
}

export interface SessionOptions {
  /** Start a worker in this process, unless an address was named or a `worker.ts` of this machine serves the queue. */
  worker: boolean
  /** Somebody must serve the queue: wait for a worker where none is started. Default: as `worker`. */
  needsWorker?: boolean
  /** Start an embedded server when no other answers. */
  mayStart: boolean
}

/** @throws MillraceError TEMPORAL_UNAVAILABLE, NO_WORKER, or what is wrong with the config. */
export async function openTemporal(
  context: CommandContext,
  { worker, needsWorker = worker, mayStart }: SessionOptions,
): Promise<TemporalSession> {
  const { root, options, env, output } = context
  const config = await loadConfig(root, env)
  const bundle = worker ? loadWorkflowBundle(env) : null
  bundle?.catch(() => {})
  const { address, namespace } = options
  const onProgress = (line: string): void => output.say(line)
  const server = await findTemporalServer({ address, namespace, projectRoot: root, env, onProgress, mayStart })
  const cleanup = new Cleanup()
  try {
    cleanup.add(() => server.embedded?.stop())
    const connection = await Connection.connect(server.connectionOptions)
    cleanup.add(() => connection.close())
    const client = new Client({ connection, namespace: server.namespace })
    const taskQueue = options.taskQueue ?? `millrace-${config.project}`
    const queue = { namespace: server.namespace, taskQueue }
    const named = server.kind === 'address' || server.kind === 'environment'
    const served = named || (server.embedded === null && (await isServedHere(client, queue)))
    let own: OwnWorker | null = null
    if (bundle !== null && !served) {
      // Only where a worker follows: its end is what ends the SDK's runtime, which else keeps the process alive.
      logToFile(root, options.verbose)
      const started = await startOwnWorker({ server, taskQueue, projects: [root], env, bundle })
      cleanup.add(() => started.stop())
      own = started
    }
    if (needsWorker && own === null)
      await waitForWorker(client, {
        taskQueue,
        namespace: server.namespace,
        waitSeconds: options.waitSeconds,
        onProgress,
      })
    return { client, server, project: config.project, taskQueue, worker: own, close: () => cleanup.run() }
  } catch (error) {
    await cleanup.run()
    throw error
  }
}

const POLL_MS = 500

interface WorkerWait {
  taskQueue: string
  namespace: string
  waitSeconds: number
  onProgress: (line: string) => void
}

/** Nothing is started for a queue that nobody serves: it would run at a time nobody expects. */
async function waitForWorker(
  client: Client,
  { taskQueue, namespace, waitSeconds, onProgress }: WorkerWait,
): Promise<void> {
  const deadline = Date.now() + waitSeconds * 1000
  for (let attempt = 0; ; attempt++) {
    if ((await readPollers(client, { namespace, taskQueue })).length > 0) return
    if (Date.now() >= deadline) {
      throw new MillraceError(
        'NO_WORKER',
        `expected a worker on task queue '${taskQueue}' within ${waitSeconds} s; none polls it`,
        {
          hint: 'start one with `worker.ts PROJECT`, or name its queue with --task-queue; nothing was started',
        },
      )
    }
    if (attempt === 2) onProgress(`Waiting for a worker on task queue '${taskQueue}'`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}
