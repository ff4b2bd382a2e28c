/** Commands timed from outside, and what several runs of one say together. */
import { spawn } from 'node:child_process'

export interface TimedCommand {
  /** From before the process is created until it has exited, as a shell would see it. */
  wallMs: number
  stdout: string
}

export interface CommandOptions {
  cwd: string
  env?: Record<string, string>
}

/** No command of a peer takes this long; one that does hangs. */
const timeoutMs = 15 * 60_000

/** Runs a command to its end; throws with the end of its output when it fails. */
export async function timeCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<TimedCommand> {
  const startedMs = performance.now()
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: { ...benchEnvironment(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
  })
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  let wallMs = 0
  child.once('exit', () => {
    wallMs = performance.now() - startedMs
  })
  // Not at `exit`: the last of the output may still be in the pipe.
  const ended = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'unknown'))
  })
  if (ended !== 0) {
    const output = `${Buffer.concat(stdout).toString()}\n${Buffer.concat(stderr).toString()}`.trim()
    throw new Error(`${program} ${args.join(' ')} ended with ${ended}:\n${output.slice(-4000)}`)
  }
  return { wallMs, stdout: Buffer.concat(stdout).toString() }
}

export interface Spread {
  medianMs: number
  minMs: number
  maxMs: number
}

/** Null when nothing was measured. */
export function summarize(values: readonly number[]): Spread | null {
  const sorted = [...values].sort((a, b) => a - b)
  const low = sorted[Math.floor((sorted.length - 1) / 2)]
  const high = sorted[Math.ceil((sorted.length - 1) / 2)]
  const [minMs, maxMs] = [sorted.at(0), sorted.at(-1)]
  if (low === undefined || high === undefined || minMs === undefined || maxMs === undefined) return null
  return { medianMs: (low + high) / 2, minMs, maxMs }
}

/** This process's environment without what would point a peer at someone's own server, profile or settings. */
function benchEnvironment(): NodeJS.ProcessEnv {
  const foreign = /^(TEMPORAL_|SQLMESH_|DBT_|UV_THREADPOOL_SIZE$|PYTHONPATH$|VIRTUAL_ENV$)/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)))
}
