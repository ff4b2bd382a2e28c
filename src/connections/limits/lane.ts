/** One transaction at a time, in order of arrival. */
import type { Admission } from './admission.ts'

interface Waiter {
  enter(): void
}

/** Of one process: nothing is said to the database. An abort while waiting leaves the lane; there are no timers. */
export function createLane(): Admission {
  const waiters = new Set<Waiter>()
  let taken = false

  function leaveOnce(): () => void {
    let left = false
    return () => {
      if (left) return
      left = true
      const [next] = waiters
      // Passed on, not let go of: a newcomer in between would overtake whoever waits.
      if (next === undefined) taken = false
      else next.enter()
    }
  }

  return {
    enter: async (signal) => {
      signal?.throwIfAborted()
      if (!taken) {
        taken = true
        return leaveOnce()
      }
      return new Promise((resolve, reject) => {
        const waiter: Waiter = {
          enter: () => {
            waiters.delete(waiter)
            signal?.removeEventListener('abort', abort)
            resolve(leaveOnce())
          },
        }
        const abort = (): void => {
          waiters.delete(waiter)
          reject(signal?.reason)
        }
        signal?.addEventListener('abort', abort, { once: true })
        waiters.add(waiter)
      })
    },
  }
}

/** The gate last: whoever waits in the lane must not be waited for by a gate that drains. */
export function laneThenGate(lane: Admission | null, gate: Admission | null): Admission | null {
  if (lane === null || gate === null) return lane ?? gate
  return {
    enter: async (signal) => {
      const leaveLane = await lane.enter(signal)
      try {
        const leaveGate = await gate.enter(signal)
        return () => {
          leaveGate()
          leaveLane()
        }
      } catch (error) {
        leaveLane()
        throw error
      }
    },
  }
}
