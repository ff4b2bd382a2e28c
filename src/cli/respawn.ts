/**
 * DuckDB's queries run on libuv's threads, whose number is fixed when the process starts: a command that runs queries
 * starts itself again with enough of them.
 */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { ExitCode } from './exit-codes.ts'

const THREADS = '64'

export function needsMoreThreads(): boolean {
  return process.env['UV_THREADPOOL_SIZE'] === undefined
}

/** Runs this very command in a child with enough threads; resolves to its exit code. */
export async function runWithMoreThreads(): Promise<ExitCode> {
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    env: { ...process.env, UV_THREADPOOL_SIZE: THREADS },
    stdio: 'inherit',
  })
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal)
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']
  for (const signal of signals) process.on(signal, forward)
  try {
    return await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', (code, signal) => {
        resolve((code ?? 128 + (signal === null ? 1 : (constants.signals[signal] ?? 1))) as ExitCode)
      })
    })
  } finally {
    for (const signal of signals) process.off(signal, forward)
  }
}
