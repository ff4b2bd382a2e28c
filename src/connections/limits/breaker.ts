/** Keeps work away from a database that cannot be reached, and lets one lease at a time find out whether it can be again. */
import { ConnectionLost } from '../connection-lost.ts'
import { MillraceError } from '../../errors.ts'
import { classifySqlError } from '../sql-errors.ts'

/** What a lease gets at once while its database is known to be out of reach: worth another attempt, not before `retryAfterMs`. */
export class DatabaseUnavailable extends ConnectionLost {
  /** When it is tried again; 0 while somebody does. */
  readonly retryAfterMs: number

  constructor(message: string, retryAfterMs: number, cause: unknown) {
    super(message, cause)
    this.name = 'DatabaseUnavailable'
    this.retryAfterMs = retryAfterMs
  }
}

/** One attempt to reach the database. What is called after the first call means nothing. */
export interface ReachAttempt {
  succeeded(): void
  /** Counts only when the error says that the database is out of reach. */
  failed(error: unknown): void
  /** It showed nothing: its holder gave up, or only a part of the way was gone. */
  ended(): void
}

export interface BreakerSnapshot {
  state: 'closed' | 'open' | 'probing'
  /** Failures in a row. */
  failures: number
  /** Until the next probe; 0 when it is due or runs, null while closed. */
  retryAfterMs: number | null
  /** What failed last, without secrets; null after a success. */
  cause: string | null
}

export interface Breaker {
  /** @throws DatabaseUnavailable when an attempt would not be let through. */
  check(): void
  /** Around opening or connecting. @throws DatabaseUnavailable */
  begin(): ReachAttempt
  snapshot(): BreakerSnapshot
}

export interface BreakerOptions {
  /** Failures in a row that open it. Default 3. */
  failures?: number
  /** Pause before the first probe; each failed one doubles it. Default 1 s. */
  firstPauseMs?: number
  /** Default 30 s. */
  longestPauseMs?: number
}

const FAILURES = 3
const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 30_000

/** From the failure that opened it to the next success. */
interface Outage {
  error: unknown
  pauseMs: number
  /** Of the monotonic clock. */
  dueAtMs: number
  /** Whose attempt finds out; null between two of them. */
  probe: object | null
}

/**
 * | state   | attempts                          | leaves when                                                                     |
 * |---|---|---|
 * | closed  | go ahead                          | `failures` of them in a row found the database out of reach → open              |
 * | open    | fail at once until the pause ends | the pause is over and somebody asks → probing; one that began before succeeds → closed |
 * | probing | one is on its way, the rest fail  | it succeeds → closed; out of reach → open, with a longer pause; shows nothing → open, due at once |
 *
 * Pauses are between half and all of their length, so that many processes do not come back at once. Nothing runs on a timer: whoever
 * asks first after the pause is the probe, in its own context.
 * @param what the database, for messages.
 */
export function createBreaker(what: string, options: BreakerOptions = {}): Breaker {
  const { failures: limit = FAILURES, firstPauseMs = FIRST_PAUSE_MS, longestPauseMs = LONGEST_PAUSE_MS } = options
  let failures = 0
  let cause: string | null = null
  let outage: Outage | null = null

  function check(): void {
    if (outage === null) return
    const leftMs = msLeft(outage)
    if (outage.probe === null && leftMs === 0) return
    const when = outage.probe === null ? `is tried again in ${seconds(leftMs)}` : 'is being tried again now'
    const message = `${what} was out of reach ${failures} times in a row and ${when}: ${cause}`
    throw new DatabaseUnavailable(message, leftMs, outage.error)
  }

  function begin(): ReachAttempt {
    check()
    const self = {}
    // Taken here, before anything is awaited: the next who asks must find it taken.
    if (outage !== null) outage.probe = self
    let over = false
    const once = (work: () => void) => (): void => {
      if (over) return
      over = true
      work()
    }
    return {
      succeeded: once(close),
      failed: (error) => once(() => (isOutOfReach(error) ? fail(self, error) : letGo(self)))(),
      ended: once(() => letGo(self)),
    }
  }

  function close(): void {
    failures = 0
    cause = null
    outage = null
  }

  function fail(self: object, error: unknown): void {
    cause = classifySqlError(error).message
    if (outage === null) {
      failures += 1
      if (failures >= limit) outage = pausing(error, firstPauseMs)
    } else if (outage.probe === self) {
      failures += 1
      outage = pausing(error, Math.min(outage.pauseMs * 2, longestPauseMs))
    }
    // One that began before the pause did says nothing new.
  }

  function pausing(error: unknown, pauseMs: number): Outage {
    const dueAtMs = performance.now() + pauseMs * (0.5 + Math.random() / 2)
    return { error, pauseMs, dueAtMs, probe: null }
  }

  function letGo(self: object): void {
    if (outage?.probe === self) outage.probe = null
  }

  return {
    check,
    begin,
    snapshot: () => ({
      state: outage === null ? 'closed' : outage.probe === null ? 'open' : 'probing',
      failures,
      retryAfterMs: outage === null ? null : msLeft(outage),
      cause,
    }),
  }
}

/** Not a lock, which is waited for, nor a configuration, a credential, or a turn that did not come. */
function isOutOfReach(error: unknown): boolean {
  if (error instanceof MillraceError || error instanceof DatabaseUnavailable) return false
  return classifySqlError(error).kind === 'connection'
}

function msLeft({ dueAtMs, probe }: Outage): number {
  return probe === null ? Math.max(0, Math.ceil(dueAtMs - performance.now())) : 0
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
