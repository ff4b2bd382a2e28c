/** A Temporal server of the project's own: its data lives in `.millrace`, its life ends with the process that started it. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { MillraceError } from '../errors.ts'
import { findProjectServer } from './project-server.ts'
import { readClusterId } from './probe-server.ts'
import { isProcessAlive, withProcessLock } from './process-lock.ts'
import { millraceFolder, readServerFile, removeServerFile, serverFilePath, writeServerFile } from './server-file.ts'
import { type RunningServer, startDev } from './start-dev.ts'
import { resolveTemporalCli } from './temporal-cli.ts'

export interface EmbeddedServer {
  /** gRPC, `host:port`. */
  address: string
  uiUrl: string
  namespace: string
  /** False: another process started it, and it ends with that process. */
  owned: boolean
  /** Settles when an owned server has ended, by `stop()` or on its own; never for one that is not owned. */
  ended: Promise<void>
  /** Ends an owned server and waits until it is gone; leaves one that is not owned alone. */
  stop(): Promise<void>
}

export interface EmbeddedServerOptions {
  projectRoot: string
  /** Created when a server is started. Default: `default`. */
  namespace?: string
  /** One line of text for the user, whenever something takes long. */
  onProgress: (line: string) => void
  /** Called when the server's process has started and does not answer yet: time for something else. */
  onStarting?: (() => void) | undefined
  /** Builds can be searched by project, environment and status. Default: true. */
  searchAttributes?: boolean
  /** Settings of the server, each `key=JSON`. */
  dynamicConfig?: readonly string[]
  /** Gives up starting. */
  signal?: AbortSignal | undefined
  /** Where to look for the `temporal` program and its cache; default: this process's environment. */
  env?: NodeJS.ProcessEnv
}

/**
 * The project's embedded server: the live one if there is one, else a new one on free ports with the Web UI, on the
 * history of the last one. Several processes may ask at once: one starts it, the others find it.
 * Throws `TEMPORAL_UNAVAILABLE` when there is no `temporal` program or the server does not come up.
 */
export async function startEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const { projectRoot, namespace = 'default', onProgress, signal, env = process.env } = options
  const live = await liveServer(projectRoot, namespace)
  if (live !== null) return live
  const cli = await resolveTemporalCli({ onProgress, signal, env })
  const lock = join(millraceFolder(projectRoot), 'server.lock')
  const onWait = (holder: number | null) =>
    onProgress(`Waiting for process ${holder ?? 'unknown'}, which is starting this project's Temporal server`)
  return withProcessLock(lock, { onWait, signal }, async () => {
    const startedMeanwhile = await liveServer(projectRoot, namespace)
    if (startedMeanwhile !== null) return startedMeanwhile
    await predecessorGone(projectRoot, signal)
    return start(projectRoot, options, cli.path)
  })
}

const PREDECESSOR_LIMIT_MS = 15_000
const ATTEMPTS = 5

async function liveServer(projectRoot: string, namespace: string): Promise<EmbeddedServer | null> {
  const found = await findProjectServer(projectRoot)
  if (found === null) return null
  const { address, uiUrl } = found
  const ended = new Promise<void>(() => {})
  return { address, uiUrl, namespace, owned: false, ended, stop: () => Promise.resolve() }
}

/** Two servers must not share a data file; one whose owner was killed a moment ago takes a second to end. */
async function predecessorGone(projectRoot: string, signal: AbortSignal | undefined): Promise<void> {
  const predecessor = await readServerFile(projectRoot)
  if (predecessor === null) return
  const deadline = performance.now() + PREDECESSOR_LIMIT_MS
  while (isProcessAlive(predecessor.pid) && performance.now() < deadline) {
    // A process id used anew by something else: whatever lives under it, it is not our server, which would answer.
    if (!predecessor.stopping && (await readClusterId(predecessor.address, 1_000)) !== predecessor.clusterId) break
    await delay(50, undefined, { signal })
  }
  await removeServerFile(projectRoot, predecessor.pid)
}

async function start(projectRoot: string, options: EmbeddedServerOptions, cli: string): Promise<EmbeddedServer> {
  const { namespace = 'default', searchAttributes = true, dynamicConfig = [] } = options
  const { env = process.env, onStarting, signal } = options
  const folder = millraceFolder(projectRoot)
  const dataFile = join(folder, 'temporal.db')
  const logFile = join(folder, 'logs', 'temporal.log')
  const serverFile = serverFilePath(projectRoot)
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted()
    const files = { dataFile, logFile, serverFile }
    const settings = { namespace, searchAttributes, dynamicConfig, env }
    const started = await startDev({ cli, ...settings, ...files, onStarting, signal })
    if ('process' in started) {
      await announce(projectRoot, started)
      return owned(projectRoot, started, namespace)
    }
    if (!started.transient || attempt === ATTEMPTS) {
      throw new MillraceError(
        'TEMPORAL_UNAVAILABLE',
        `The embedded Temporal server (${cli}) did not start: ${started.reason}`,
        { hint: `Its log is ${logFile}. A server that runs already can be named with --address HOST:PORT` },
      )
    }
    await delay(attempt * 200, undefined, { signal })
  }
}

async function announce(projectRoot: string, server: RunningServer): Promise<void> {
  const { address, uiUrl, clusterId } = server
  const startedAt = new Date().toISOString()
  const ids = { pid: server.process.pid, ownerPid: process.pid }
  try {
    await writeServerFile(projectRoot, { address, uiUrl, clusterId, ...ids, startedAt, stopping: false })
  } catch (error) {
    // Nobody else could find it, and a second one on its data would fail.
    await server.process.stop()
    throw error
  }
}

function owned(projectRoot: string, server: RunningServer, namespace: string): EmbeddedServer {
  const { address, uiUrl, process } = server
  return {
    address,
    uiUrl,
    namespace,
    owned: true,
    ended: process.ended,
    async stop() {
      await process.stop()
      // The watchdog has done this, unless it was killed.
      await removeServerFile(projectRoot, process.pid)
    },
  }
}
