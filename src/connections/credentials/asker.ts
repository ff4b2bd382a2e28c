/** One call that waits for a token: its heartbeats, its limit, and the one signal that ends its waiting. */
import type { AuthContext } from './auth-context.ts'

export interface Asker {
  readonly auth: AuthContext
  /** Aborted when the caller no longer needs the token, its heartbeat throws, or its time is over. */
  readonly signal: AbortSignal
  readonly timedOut: boolean
  /** Nothing is left behind: no timer, no listener. */
  end(): void
}

/** "At least every second", with room for a busy event loop. */
const HEARTBEAT_MS = 800

/** @param describe what it waits for, for its heartbeats. */
export function createAsker(auth: AuthContext, limitMs: number, describe: () => string): Asker {
  const stop = new AbortController()
  let timedOut = false
  const abort = (): void => stop.abort(auth.signal?.reason)
  const beat = (): void => {
    try {
      auth.heartbeat?.(describe())
    } catch (error) {
      stop.abort(error)
    }
  }
  const heartbeats = setInterval(beat, HEARTBEAT_MS)
  const limit = setTimeout(() => {
    timedOut = true
    stop.abort(new Error('the time to wait for a token is over'))
  }, limitMs)
  // The wait itself keeps the process alive, not its heartbeats.
  heartbeats.unref()
  if (auth.signal?.aborted === true) abort()
  auth.signal?.addEventListener('abort', abort, { once: true })
  return {
    auth,
    signal: stop.signal,
    get timedOut() {
      return timedOut
    },
    end: () => {
      clearInterval(heartbeats)
      clearTimeout(limit)
      auth.signal?.removeEventListener('abort', abort)
    },
  }
}
