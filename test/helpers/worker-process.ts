/** Workers in processes of their own, for tests that kill them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { WorkerScript } from '../fixtures/worker.ts'

const SCRIPT = fileURLToPath(new URL('../fixtures/worker.ts', import.meta.url))

export interface WorkerProcess {
  pid: number
  /** Ids of the activities that have started and not ended, as far as it told. */
  running: ReadonlySet<string>
  /** How often an activity has started. */
  readonly started: number
  /** Its log, from level INFO on. */
  logged: readonly string[]
  /** Resolves when it serves its task queue; rejects when it ends before. */
  ready: Promise<void>
  /** Calls `listener` for each activity that starts from here on. */
  onStarted(listener: (activityId: string) => void): void
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** Resolves with the signal when it is gone. */
  ended: Promise<NodeJS.Signals | null>
}

/** It is gone after the test. */
export function startWorkerProcess(script: WorkerScript): WorkerProcess {
  const child = spawn(process.execPath, ['--import', 'tsx', SCRIPT, JSON.stringify(script)], {
    env: { ...process.env, UV_THREADPOOL_SIZE: '64' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close').then(([, signal]) => signal as NodeJS.Signals | null)
  const running = new Set<string>()
  const logged: string[] = []
  let started = 0
  const listeners = new Set<(activityId: string) => void>()
  let setReady: () => void = () => undefined
  const ready = new Promise<void>((resolve, reject) => {
    setReady = resolve
    void ended.then((signal) => reject(new Error(`the worker ended (${signal}) before it was ready`)))
  })
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [, id, event] = /^(.*) (started|ended)$/.exec(line) ?? []
    if (line === 'ready') setReady()
    else if (line.startsWith('log ')) logged.push(line.slice('log '.length))
    else if (id !== undefined && event === 'ended') running.delete(id)
    else if (id !== undefined) {
      running.add(id)
      started += 1
      for (const listener of listeners) listener(id)
    }
  })
  async function kill(): Promise<void> {
    child.kill('SIGKILL')
    await ended
  }
  onTestFinished(kill)
  return {
    pid: child.pid ?? 0,
    running,
    get started() {
      return started
    },
    logged,
    ready,
    onStarted: (listener) => void listeners.add(listener),
    kill,
    ended,
  }
}
