/** One attempt at `temporal server start-dev`: a running server that answers, or why there is none. */
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { readClusterId } from './probe-server.ts'
import { cliType, SEARCH_ATTRIBUTES } from '../search-attributes.ts'
import { provideSearchAttributes } from './search-attributes.ts'
import { startWatchedServer, type WatchedServer } from './watchdog.ts'

export interface StartDevOptions {
  /** Absolute path of the `temporal` program. */
  cli: string
  namespace: string
  env: NodeJS.ProcessEnv
  /** The SQLite file that holds all the server knows. */
  dataFile: string
  /** Builds can be searched by project, environment and status. */
  searchAttributes: boolean
  /** Beside our own: settings of the server, each `key=JSON`. */
  dynamicConfig: readonly string[]
  /** Gets what the server prints: errors only. Begun anew when it has grown beyond 5 MB. */
  logFile: string
  /** See `startWatchedServer`. */
  serverFile: string
  /** See `EmbeddedServerOptions`. */
  onStarting?: (() => void) | undefined
  signal?: AbortSignal | undefined
}

export interface RunningServer {
  process: WatchedServer
  /** gRPC, `host:port`. */
  address: string
  uiUrl: string
  /** The identity of the data file. */
  clusterId: string
}

export interface FailedStart {
  /** The part of the log that says most. */
  reason: string
  /** Another attempt, on other ports or a moment later, may succeed. */
  transient: boolean
}

/** Takes as long as the server takes to answer, 30 s at most. Rejects when the signal aborts; nothing runs then. */
export async function startDev(options: StartDevOptions): Promise<RunningServer | FailedStart> {
  await mkdir(dirname(options.logFile), { recursive: true })
  const [port, uiPort] = await freePorts()
  const address = `127.0.0.1:${port}`
  const log = openSync(options.logFile, sizeOf(options.logFile) > LOG_LIMIT_BYTES ? 'w' : 'a')
  const logStart = sizeOf(options.logFile)
  const fresh = !existsSync(options.dataFile)
  try {
    const server = await startWatchedServer({
      command: options.cli,
      args: serverArguments(options, port, uiPort),
      env: serverEnvironment(options.env),
      log,
      serverFile: options.serverFile,
    }).catch(() => null)
    if (server === null) return failure(options.logFile, logStart, 'it could not be executed')
    options.onStarting?.()
    const clusterId = await untilAnswer(server, address, options.signal)
    if (clusterId !== null) {
      // Its own arguments count only for a data file that it makes.
      if (!fresh && options.searchAttributes) await provideSearchAttributes(address, options.namespace)
      return { process: server, address, uiUrl: `http://127.0.0.1:${uiPort}`, clusterId }
    }
    await server.stop()
    return failure(options.logFile, logStart, `no answer within ${READY_LIMIT_MS / 1000} s`)
  } finally {
    closeSync(log)
  }
}

const READY_LIMIT_MS = 30_000
const DYNAMIC_CONFIG = [
  // The answer to a workflow task brings the next activity along, instead of a further turn through the task queue.
  'system.enableActivityEagerExecution=true',
  // The server looks for the next task of a history shard at most this often a second. With the default, 20, and the
  // one shard of this server, every activity of a chain waits 50 ms.
  'history.transferProcessorMaxPollRPS=1000',
]
const SQLITE_PRAGMAS = [
  // One process at a time: a second server on the data file ends at once instead of writing into the first one's
  // history. It also spares WAL its shared memory file, which not every file system supports.
  'locking_mode=exclusive',
  // Nothing acknowledged is lost when the process is killed; no fsync for each of a workflow's steps.
  'journal_mode=wal',
  'synchronous=normal',
]
const LOG_LIMIT_BYTES = 5_000_000

/** Two ports that are free now, both held open until both are known so that they differ. */
async function freePorts(): Promise<[number, number]> {
  const [first, second] = await Promise.all([listenAnywhere(), listenAnywhere()])
  await Promise.all([first.close(), second.close()])
  return [first.port, second.port]
}

async function listenAnywhere(): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('A TCP server has an address with a port')
  return { port: address.port, close: () => new Promise((resolve) => server.close(() => resolve())) }
}

function serverArguments(options: StartDevOptions, port: number, uiPort: number): string[] {
  const args = ['server', 'start-dev', '--log-level', 'error', '--db-filename', options.dataFile]
  args.push('--ip', '127.0.0.1', '--port', String(port), '--ui-ip', '127.0.0.1', '--ui-port', String(uiPort))
  if (options.namespace !== 'default') args.push('--namespace', options.namespace)
  if (options.searchAttributes) {
    for (const attribute of Object.values(SEARCH_ATTRIBUTES)) {
      args.push('--search-attribute', `${attribute.name}=${cliType(attribute)}`)
    }
  }
  for (const value of [...DYNAMIC_CONFIG, ...options.dynamicConfig]) args.push('--dynamic-config-value', value)
  for (const pragma of SQLITE_PRAGMAS) args.push('--sqlite-pragma', pragma)
  return args
}

/** The server's small heap may grow to five times what is in use between two collections: a fifth less CPU per activity. */
const GARBAGE_COLLECTION = { GOGC: '400' }

/** Without what steers a Temporal client (credentials are no business of this server) or another Node process. */
function serverEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_') && name !== 'NODE_OPTIONS')
  return { ...GARBAGE_COLLECTION, ...Object.fromEntries(kept) }
}

/** The server's cluster id once it answers; null when it ended or did not answer in time. */
async function untilAnswer(
  server: WatchedServer,
  address: string,
  signal: AbortSignal | undefined,
): Promise<string | null> {
  const deadline = performance.now() + READY_LIMIT_MS
  const state = { ended: false }
  void server.ended.then(() => (state.ended = true))
  try {
    while (!state.ended && performance.now() < deadline) {
      const clusterId = await readClusterId(address, 5_000)
      // Only while it is still there: a stranger could have answered on a port that our server did not get.
      if (clusterId !== null && !state.ended) return clusterId
      await delay(20, undefined, { signal })
    }
    return null
  } catch (error) {
    await server.stop()
    throw error
  }
}

/**
 * Transient: another program took a port between our asking and the server's binding (it picks further ones itself,
 * and crashes when it loses one), or a server that nobody could tell us of (its owner was killed while it started)
 * still holds the data file for a moment.
 */
function failure(logFile: string, logStart: number, otherwise: string): FailedStart {
  const text = readFileSync(logFile).subarray(logStart).toString('utf8').trim()
  const lines = text.split('\n')
  // The reason of a crash is at the top of its stack.
  const crash = lines.findIndex((line) => /^(panic|fatal error|SIG[A-Z]+): /.test(line))
  const telling = (crash === -1 ? lines.slice(-5) : lines.slice(crash, crash + 3)).join('\n').slice(0, 2_000)
  const transient = crash !== -1 || /address already in use|each socket address|database is locked/i.test(text)
  return { reason: telling === '' ? otherwise : telling, transient }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}
