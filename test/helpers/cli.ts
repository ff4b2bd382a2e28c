/** Commands as a user runs them, in processes of their own: the published form, which says the same as `client.ts` and `worker.ts`. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export interface CliResult {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface RunningCli {
  process: ChildProcess
  /** Resolves when the text has been written to standard output or error; rejects when the command ends before. */
  seen(text: string | RegExp): Promise<void>
  ended: Promise<CliResult>
}

/** Runs a verb to its end. */
export async function runCli(args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
  return startCli(args, env).ended
}

export function startCli(args: readonly string[], env: Record<string, string> = {}): RunningCli {
  return start(args, env)
}

/** As people type it, `npx tsx client.ts …`: npm, a shell and tsx stand between the process this returns and the command. */
export function startCliThroughNpx(args: readonly string[], env: Record<string, string> = {}): RunningCli {
  return run('npx', ['--no-install', 'tsx', `${ROOT}client.ts`, ...args], env)
}

export function startWorker(args: readonly string[], env: Record<string, string> = {}): RunningCli {
  return start(['worker', ...args], env)
}

function start(args: readonly string[], env: Record<string, string>): RunningCli {
  return run(process.execPath, [`${ROOT}dist/bin.js`, ...args], { UV_THREADPOOL_SIZE: '64', ...env })
}

/** The process is in a group of its own and killed with it after the test. */
function run(program: string, args: readonly string[], env: Record<string, string>): RunningCli {
  const { UV_THREADPOOL_SIZE: _, ...inherited } = process.env
  const child = spawn(program, args, {
    cwd: ROOT,
    env: { ...inherited, TEMPORAL_ADDRESS: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const output = { stdout: '', stderr: '' }
  const listeners = new Set<() => void>()
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text
      for (const listener of listeners) listener()
    })
  }
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    ...output,
  }))
  onTestFinished(async () => {
    // The group may outlive its first process.
    if (child.pid !== undefined) killGroup(child.pid)
    await ended
  })
  return {
    process: child,
    ended,
    seen: (text) =>
      new Promise((resolve, reject) => {
        const matches = (): boolean => {
          const all = output.stdout + output.stderr
          return typeof text === 'string' ? all.includes(text) : text.test(all)
        }
        const check = (): void => {
          if (!matches()) return
          listeners.delete(check)
          resolve()
        }
        listeners.add(check)
        check()
        void ended.then(() =>
          matches()
            ? undefined
            : reject(new Error(`ended without '${String(text)}':\n${output.stdout}${output.stderr}`)),
        )
      }),
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
