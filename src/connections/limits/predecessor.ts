/** The instances of a database that must be closed before it opens again, and the wait for that. */
import { MillraceError } from '../../errors.ts'
import { abortable } from '../abortable.ts'
import type { Holder, SlotRequest } from './fair-queue.ts'
import { timerDelay } from './timer-delay.ts'

export interface Predecessor {
  /** Everything of it is closed. Never rejects. */
  readonly ended: Promise<void>
  /** Those who keep it open. */
  readonly holders: () => Holder[]
}

const REPORT_EVERY_MS = 1000

/**
 * A holder that asks for a second lease of the same database would wait for itself: the limit ends that.
 * @param what the database, for messages.
 * @throws MillraceError LEASE_TIMEOUT naming the holders; the signal's reason.
 */
export async function outlive(
  { ended, holders }: Predecessor,
  what: string,
  { signal, timeoutMs, onWaiting }: SlotRequest,
): Promise<void> {
  const stop = new AbortController()
  const abort = (): void => stop.abort(signal?.reason)
  const limit = setTimeout(() => stop.abort(timedOut(what, timeoutMs, holders())), timerDelay(timeoutMs))
  const report = setInterval(() => {
    try {
      onWaiting?.(`waiting for ${what} to be opened anew, still in use by ${names(holders())}`)
    } catch (error) {
      stop.abort(error)
    }
  }, REPORT_EVERY_MS)
  if (signal?.aborted === true) abort()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    await abortable(ended, stop.signal)
  } finally {
    clearTimeout(limit)
    clearInterval(report)
    signal?.removeEventListener('abort', abort)
  }
}

function timedOut(what: string, timeoutMs: number, holders: readonly Holder[]): MillraceError {
  const held = holders.map(({ holder, ageMs }) => `${holder} (for ${(ageMs / 1000).toFixed(1)} s)`).join(', ')
  return new MillraceError(
    'LEASE_TIMEOUT',
    `${what} is to be opened anew and was not free within ${(timeoutMs / 1000).toFixed(1)} s: still held by ${held}`,
    { hint: 'Raise max_age or lease_timeout in the pool of the connection.' },
  )
}

function names(holders: readonly Holder[]): string {
  return [...new Set(holders.map(({ holder }) => holder))].slice(0, 5).join(', ')
}
