/** Commands as a user runs them: `client.ts` and `worker.ts` in processes of their own. */
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

/** Runs `client.ts` to its end. */
export async function runCli(args: readonly string[], env: Record<string, string> = {}): Promise<CliResult> {
  return startCli(args, env).ended
}

export function startCli(args: readonly string[], env: Record<string, string> = {}): RunningCli {
  return start('client.ts', args, env)
}

export function startWorker(args: readonly string[], env: Record<string, string> = {}): RunningCli {
  return start('worker.ts', args, env)
}

/** The process is in a group of its own and killed with it after the test. */
function start(script: string, args: readonly string[], env: Record<string, string>): RunningCli {
  const child = spawn(process.execPath, ['--import', 'tsx', `${ROOT}${script}`, ...args], {
    cwd: ROOT,
    env: { ...process.env, UV_THREADPOOL_SIZE: '64', TEMPORAL_ADDRESS: '', ...env },
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
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
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
        void ended.then(() => {
          if (!matches()) reject(new Error(`ended without '${String(text)}':\n${output.stdout}${output.stderr}`))
        })
      }),
  }
}
