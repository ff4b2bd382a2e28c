/** Pauses between failures, the more of them the longer; kept from one who tries to the next, so that many do not try more often than one. */
import { pause } from '../pause.ts'

export interface BackOff {
  /** The next try is not due yet. */
  readonly pausing: boolean
  /** Until the next try is due. @throws the signal's reason */
  pause(signal: AbortSignal): Promise<void>
  failed(): void
  succeeded(): void
}

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2000

export function createBackOff(): BackOff {
  let failuresInRow = 0
  /** Of the monotonic clock. */
  let dueAtMs = -Infinity
  const leftMs = (): number => dueAtMs - performance.now()
  return {
    get pausing() {
      return leftMs() > 0
    },
    pause: async (signal) => {
      if (leftMs() > 0) await pause(leftMs(), signal)
    },
    failed: () => {
      dueAtMs = performance.now() + jittered(Math.min(FIRST_PAUSE_MS * 2 ** failuresInRow, LONGEST_PAUSE_MS))
      failuresInRow += 1
    },
    succeeded: () => {
      failuresInRow = 0
      dueAtMs = -Infinity
    },
  }
}

/** Between half of it and all of it, so that many processes do not come back at once. */
function jittered(pauseMs: number): number {
  return pauseMs * (0.5 + Math.random() / 2)
}
