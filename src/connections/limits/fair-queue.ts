/** A limit that is waited for in order of arrival. */
import { MillraceError } from '../../errors.ts'
import { timerDelay } from './timer-delay.ts'

export interface SlotRequest {
  /** Shown to others who wait. */
  holder: string
  signal?: AbortSignal | undefined
  timeoutMs: number
  /** Called about every second while it waits. */
  onWaiting?: ((message: string) => void) | undefined
}

export interface Slot {
  /** Passes the slot to the first who waits. Once. */
  release(): void
}

export interface Holder {
  holder: string
  ageMs: number
}

export interface FairQueue {
  /**
   * @throws MillraceError LEASE_TIMEOUT naming the holders; the signal's reason; what `refuse` was called with.
   */
  acquire(request: SlotRequest): Promise<Slot>
  /** Rejects everybody who waits. */
  refuse(reason: unknown): void
  holders(): Holder[]
  waiting(): Holder[]
}

const REPORT_EVERY_MS = 1000
const MORE_SLOTS = 'Raise concurrent_tasks of the connection, or lower --max-parallel.'

interface Waiter {
  holder: string
  sinceMs: number
  grant(slot: Slot): void
  reject(reason: unknown): void
}

/** @param limit slots. @param what they are slots of, for messages. @param hint how there would be more. */
export function createFairQueue(limit: number, what: string, hint = MORE_SLOTS): FairQueue {
  const held = new Map<Slot, { holder: string; sinceMs: number }>()
  const waiters: Waiter[] = []

  function take(holder: string): Slot {
    const slot: Slot = {
      release() {
        if (!held.delete(slot)) throw new Error(`a slot of ${what} was released twice`)
        const next = waiters.shift()
        // Taken here, not when the waiter wakes: a newcomer in between would overtake it.
        if (next !== undefined) next.grant(take(next.holder))
      },
    }
    held.set(slot, { holder, sinceMs: performance.now() })
    return slot
  }

  function wait({ holder, signal, timeoutMs, onWaiting }: SlotRequest): Promise<Slot> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        clearInterval(report)
        signal?.removeEventListener('abort', abort)
        const index = waiters.indexOf(waiter)
        if (index >= 0) waiters.splice(index, 1)
      }
      const waiter: Waiter = {
        holder,
        sinceMs: performance.now(),
        grant: (slot) => {
          leave()
          resolve(slot)
        },
        reject: (reason) => {
          leave()
          reject(reason)
        },
      }
      const abort = (): void => waiter.reject(signal?.reason)
      const timer = setTimeout(() => waiter.reject(timedOut(timeoutMs)), timerDelay(timeoutMs))
      const report = setInterval(() => {
        try {
          onWaiting?.(`waiting for ${what}, in use by ${names(held.values())}`)
        } catch (error) {
          waiter.reject(error)
        }
      }, REPORT_EVERY_MS)
      signal?.addEventListener('abort', abort, { once: true })
      waiters.push(waiter)
    })
  }

  function timedOut(timeoutMs: number): MillraceError {
    const holders = [...held.values()].map((one) => `${one.holder} (for ${seconds(performance.now() - one.sinceMs)})`)
    return new MillraceError(
      'LEASE_TIMEOUT',
      `no connection to ${what} was free within ${seconds(timeoutMs)}: ${held.size} of ${limit} are held by ${holders.join(', ')}`,
      { hint },
    )
  }

  return {
    acquire: async (request) => {
      request.signal?.throwIfAborted()
      return held.size < limit ? take(request.holder) : wait(request)
    },
    refuse: (reason) => {
      for (const waiter of waiters.slice()) waiter.reject(reason)
    },
    holders: () => [...held.values()].map(toHolder),
    waiting: () => waiters.map(toHolder),
  }
}

function toHolder({ holder, sinceMs }: { holder: string; sinceMs: number }): Holder {
  return { holder, ageMs: Math.round(performance.now() - sinceMs) }
}

function names(holders: Iterable<{ holder: string }>): string {
  const all = [...new Set([...holders].map(({ holder }) => holder))]
  return all.length <= 5 ? all.join(', ') : `${all.slice(0, 5).join(', ')} and ${all.length - 5} more`
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`
}
