/** The process between an owner and its server: it outlives the owner just long enough to end the server. */
import { type ChildProcess, spawn } from 'node:child_process'
import { tmpdir } from 'node:os'

export interface WatchedServer {
  /** The server's own process id. */
  pid: number
  /** Settles when the server has ended, for whatever reason; never rejects. */
  ended: Promise<void>
  /** Ends the server (SIGKILL: its data file bears it) and waits for it. Calling it again waits too. */
  stop(): Promise<void>
}

export interface WatchedServerOptions {
  /** Absolute path of the server's program. */
  command: string
  args: string[]
  env: NodeJS.ProcessEnv
  /** An open file that gets everything the server and the watchdog print. */
  log: number
  /** Its `stopping` is set when the server is told to end; it is removed when the server has ended. */
  serverFile: string
}

/**
 * Starts a server that ends with this process, also when this process is killed with SIGKILL: the watchdog holds the
 * other end of a channel that the operating system closes then. Both run in a session of their own, so a terminal's
 * Ctrl-C does not reach the server before its owner has drained. Neither keeps this process from ending.
 * Rejects when the program cannot be started; the reason is in the log.
 */
export async function startWatchedServer(options: WatchedServerOptions): Promise<WatchedServer> {
  const args = ['-e', WATCHDOG, '--', options.serverFile, options.command, ...options.args]
  const watchdog = spawn(process.execPath, args, {
    // Not in the project's folder: it can then be moved or removed (Windows) while the server runs.
    cwd: tmpdir(),
    env: options.env,
    detached: true,
    windowsHide: true,
    stdio: ['ignore', options.log, options.log, 'ipc'],
  })
  const ended = watchdogEnd(watchdog)
  const pid = await serverPid(watchdog, ended)
  watchdog.unref()
  watchdog.channel?.unref()
  return {
    pid,
    ended,
    stop() {
      // The wait itself must hold this process until the server is gone.
      watchdog.ref()
      if (watchdog.connected) watchdog.disconnect()
      return ended
    },
  }
}

async function watchdogEnd(watchdog: ChildProcess): Promise<void> {
  await new Promise<void>((resolve) => {
    watchdog.once('error', () => resolve())
    watchdog.once('exit', (_code, signal) => {
      // A watchdog that was killed leaves the server behind in its process group.
      if (signal !== null) killGroup(watchdog.pid)
      resolve()
    })
  })
}

async function serverPid(watchdog: ChildProcess, ended: Promise<void>): Promise<number> {
  const pid = await Promise.race([
    new Promise<number>((resolve) => watchdog.once('message', (message) => resolve(Number(message)))),
    ended.then(() => null),
  ])
  if (pid === null) throw new Error('the server could not be started')
  return pid
}

function killGroup(leader: number | undefined): void {
  if (leader === undefined || process.platform === 'win32') return
  try {
    process.kill(-leader, 'SIGKILL')
  } catch {
    // Nobody left in it.
  }
}

/**
 * Plain JavaScript in a string, because it must run under any Node without a loader, from source and from a build alike.
 * It marks the server file before it ends the server: a command that starts in that moment must not settle on a server
 * that is about to go, and must know whose end to wait for.
 */
const WATCHDOG = `
const { spawn } = require('node:child_process')
const { readFileSync, renameSync, rmSync, writeFileSync } = require('node:fs')
const [serverFile, command, ...args] = process.argv.slice(1)
const server = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'], windowsHide: true })

function ours() {
  try {
    const content = JSON.parse(readFileSync(serverFile, 'utf8'))
    return content.pid === server.pid ? content : null
  } catch {
    return null
  }
}

let stopping = false
function stop() {
  if (stopping) return
  stopping = true
  try {
    const content = ours()
    if (content !== null) {
      writeFileSync(serverFile + '.watchdog', JSON.stringify({ ...content, stopping: true }))
      renameSync(serverFile + '.watchdog', serverFile)
    }
  } catch (error) {
    console.error(error)
  }
  // What was acknowledged is in the data file, which a killed process cannot spoil. Asked politely, the server takes
  // more than a second, at the end of every command.
  server.kill('SIGKILL')
}

server.on('error', (error) => {
  console.error(error.message)
  process.exit(1)
})
server.on('exit', (code) => {
  try {
    if (ours() !== null) rmSync(serverFile, { force: true })
  } catch (error) {
    console.error(error)
  }
  process.exit(code ?? 1)
})
process.on('disconnect', stop)
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, stop)
if (server.pid !== undefined) process.send(server.pid, () => {})
// An owner that died before the listener was there.
if (!process.connected) stop()
`
