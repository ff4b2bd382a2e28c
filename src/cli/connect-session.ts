/** A session on a server that answers: the client, and a worker of its own where nobody named a server. Loads the SDK. */
import { Client, Connection } from '@temporalio/client'
import { MillraceError } from '../errors.ts'
import type { FoundServer } from '../temporal/find-server.ts'
import type { Cleanup } from './cleanup.ts'
import type { CommandContext } from './command.ts'
import { installRuntime } from './install-runtime.ts'
import { startOwnWorker, type OwnWorker } from './own-worker.ts'
import { isServedHere, readPollers } from './pollers.ts'

export { loadWorkflowBundle } from './workflow-bundle.ts'

export interface ConnectedSession {
  client: Client
  taskQueue: string
  /** Null where the workers are someone else's. */
  worker: OwnWorker | null
}

export interface WorkerOptions {
  /** Start a worker in this process, unless an address was named or a `worker.ts` of this machine serves the queue. */
  worker: boolean
  /** Somebody must serve the queue: wait for a worker where none is started. Default: as `worker`. */
  needsWorker?: boolean
}

export interface ConnectOptions extends WorkerOptions {
  server: FoundServer
  project: string
  /** For a worker of the command's own; null where none is wanted. */
  bundle: Promise<{ code: string }> | null
  /** Gets what closes the session. */
  cleanup: Cleanup
}

/** @throws MillraceError NO_WORKER */
export async function connectSession(
  { root, options, env, output }: CommandContext,
  { worker, needsWorker = worker, server, project, bundle, cleanup }: ConnectOptions,
): Promise<ConnectedSession> {
  const connection = await Connection.connect(server.connectionOptions)
  cleanup.add(() => connection.close())
  const client = new Client({ connection, namespace: server.namespace })
  const taskQueue = options.taskQueue ?? `millrace-${project}`
  const queue = { namespace: server.namespace, taskQueue }
  const named = server.kind === 'address' || server.kind === 'environment'
  const served = named || (server.embedded === null && (await isServedHere(client, queue)))
  let own: OwnWorker | null = null
  if (bundle !== null && !served) {
    await installRuntime({ root, verbose: options.verbose })
    const started = await startOwnWorker({ server, taskQueue, projects: [root], env, bundle })
    cleanup.add(() => started.stop())
    own = started
  }
  if (needsWorker && own === null)
    await waitForWorker(client, {
      taskQueue,
      namespace: server.namespace,
      waitSeconds: options.waitSeconds,
      onProgress: (line) => output.say(line),
    })
  return { client, taskQueue, worker: own }
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
