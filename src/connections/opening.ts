/** Opens a database once, however many ask for it at a time, and waits for a file that another process holds. */
import { setMaxListeners } from 'node:events'
import { abortable } from './abortable.ts'
import { databaseLocked, lockHolderOf, type LockHolder } from './file-locks.ts'
import { outsideContext } from './outside-context.ts'
import { pause } from './pause.ts'

export interface LockWait {
  signal?: AbortSignal | undefined
  /** How long another process may go on holding the file. */
  lockTimeoutMs: number
  /** Asked before each wait for a process that holds the file; false gives up at once. Default: waits for everybody. */
  mayWaitFor?: ((holder: LockHolder) => Promise<boolean>) | undefined
  /** Called at most every second while it waits. */
  onWaiting?: ((message: string) => void) | undefined
}

export interface Opening<T> {
  /** Null until it is open. */
  readonly current: T | null
  /** An attempt runs. */
  readonly running: boolean
  /** @throws MillraceError DATABASE_LOCKED naming the process; the signal's reason; what opening threw, or `refuse` was given. */
  get(wait: LockWait): Promise<T>
  /** Nothing is opened from here on; those who wait are rejected. Resolves when the attempt that runs has ended. */
  refuse(reason: unknown): Promise<void>
}

const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 1000
const REPORT_EVERY_MS = 1000

/** @param describe the database, for messages. */
export function createOpening<T>(describe: string, open: () => Promise<T>): Opening<T> {
  let current: T | null = null
  let attempt: Promise<T> | null = null
  const refusal = new AbortController()
  // Any number may wait.
  setMaxListeners(0, refusal.signal)

  function openOnce(): Promise<T> {
    // Stored before it is awaited, so that others join; forgotten when it fails, so that the next one tries anew.
    attempt ??= outsideContext(async () => {
      try {
        current = await open()
        return current
      } catch (error) {
        attempt = null
        throw error
      }
    })
    return attempt
  }

  async function get(wait: LockWait): Promise<T> {
    if (current !== null) return current
    refusal.signal.throwIfAborted()
    // One signal for both reasons to stop waiting, so that a pause ends at once.
    const stop = new AbortController()
    const unlink = [wait.signal, refusal.signal].map((signal) => follow(signal, stop))
    try {
      return await attemptUntil({ ...wait, signal: stop.signal })
    } finally {
      for (const undo of unlink) undo()
    }
  }

  async function attemptUntil({ signal, lockTimeoutMs, mayWaitFor, onWaiting }: LockWait): Promise<T> {
    const startedMs = performance.now()
    let reportedMs = -Infinity
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      signal?.throwIfAborted()
      try {
        return await abortable(openOnce(), signal)
      } catch (error) {
        signal?.throwIfAborted()
        const holder = lockHolderOf(error)
        if (holder === null) throw error
        const nowMs = performance.now()
        const leftMs = startedMs + lockTimeoutMs - nowMs
        if (leftMs <= 0 || (await mayWaitFor?.(holder)) === false) throw databaseLocked(describe, holder, error)
        if (nowMs - reportedMs >= REPORT_EVERY_MS) {
          reportedMs = nowMs
          onWaiting?.(`${describe} is held by ${holder.description}; waiting up to ${Math.ceil(leftMs / 1000)} s more`)
        }
        await pause(Math.min(pauseMs, leftMs), signal)
      }
    }
  }

  return {
    get current() {
      return current
    },
    get running() {
      return attempt !== null && current === null
    },
    get,
    refuse: async (reason) => {
      refusal.abort(reason)
      await attempt?.catch(() => undefined)
    },
  }
}

function follow(signal: AbortSignal | undefined, follower: AbortController): () => void {
  const abort = (): void => follower.abort(signal?.reason)
  if (signal?.aborted === true) abort()
  signal?.addEventListener('abort', abort, { once: true })
  return () => signal?.removeEventListener('abort', abort)
}
