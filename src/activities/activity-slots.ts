/**
 * How many activities a worker asks for. One that stands by, because another process holds the database that its activities need,
 * asks for one at a time with pauses between them: what it would give back anyway goes to the holder at once.
 *
 * | state       | asks                                                    | leaves when                                            |
 * | at work     | up to its limit, eager ones too                         | it gives an activity back → standing by                |
 * | standing by | one at a time, with a growing pause after each of ours  | it gets a lease, or the holder has ended → at work     |
 */
import { outsideContext } from '../connections/outside-context.ts'

export interface ActivitySlots {
  /**
   * For one worker.
   * @param limit activities at once. @param types those that need the database: others never make the worker pause.
   */
  supplier(limit: number, types: readonly string[]): SlotSupplier
  /** An activity was given back to the process that holds its database. */
  standBy(holder: number): void
  /** A database could be had. */
  work(): void
}

/** Given out by a supplier; Temporal hands it back. */
export interface SlotPermit {
  /** An activity has come. */
  isUsed: boolean
  isReleased: boolean
}

/** A custom slot supplier of Temporal's worker, as far as it is one for activities. */
export interface SlotSupplier {
  type: 'custom'
  /** Resolves when the worker may ask for one more. */
  reserveSlot(context: unknown, signal: AbortSignal): Promise<SlotPermit>
  /** For one that a workflow of this very worker would start here. */
  tryReserveSlot(context: unknown): SlotPermit | null
  markSlotUsed(used: { permit: object; slotInfo: { activityType: string } }): void
  releaseSlot(released: { permit: object }): void
}

export interface ActivitySlotsOptions {
  /** Default 250. */
  firstPauseMs?: number
  /** Default 4000. */
  longestPauseMs?: number
}

const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 4_000
/** How often it looks whether a pause is over, or the holder has ended. */
const LOOK_EVERY_MS = 250

interface StandBy {
  holder: number
  pauseMs: number
  nextMs: number
}

export function createActivitySlots(options: ActivitySlotsOptions = {}): ActivitySlots {
  const { firstPauseMs = FIRST_PAUSE_MS, longestPauseMs = LONGEST_PAUSE_MS } = options
  /** Each gives out what it may by now. @returns whether somebody still waits. */
  const pumps = new Set<() => boolean>()
  let held: StandBy | null = null
  let timer: NodeJS.Timeout | null = null

  function pumpAll(): void {
    const waiting = [...pumps].map((pump) => pump()).includes(true)
    if (held !== null && waiting) startTimer()
    else stopTimer()
  }

  function startTimer(): void {
    timer ??= outsideContext(() => setInterval(look, LOOK_EVERY_MS))
    timer.unref()
  }

  function stopTimer(): void {
    if (timer !== null) clearInterval(timer)
    timer = null
  }

  function look(): void {
    if (held !== null && !isAlive(held.holder)) held = null
    pumpAll()
  }

  /** Soon it is known whether the database can be had. */
  function hold(): void {
    if (held !== null) held.nextMs = Math.max(held.nextMs, performance.now() + firstPauseMs)
  }

  return {
    supplier: (limit, types) => {
      const supplier = createSupplier(limit, {
        mayAsk: (unused) => held === null || (unused === 0 && performance.now() >= held.nextMs),
        mayTry: () => held === null,
        used: (activityType) => {
          if (types.includes(activityType)) hold()
        },
        changed: pumpAll,
      })
      pumps.add(supplier.pump)
      return supplier
    },
    standBy: (holder) => {
      const pauseMs = held === null ? firstPauseMs : Math.min(held.pauseMs * 2, longestPauseMs)
      held = { holder, pauseMs, nextMs: performance.now() + pauseMs }
      pumpAll()
    },
    work: () => {
      if (held === null) return
      held = null
      pumpAll()
    },
  }
}

interface Rules {
  /** @param unused slots that were reserved and have no activity yet. */
  mayAsk: (unused: number) => boolean
  mayTry: () => boolean
  used: (activityType: string) => void
  changed: () => void
}

function createSupplier(
  limit: number,
  { mayAsk, mayTry, used, changed }: Rules,
): SlotSupplier & { pump: () => boolean } {
  const waiting = new Set<(permit: SlotPermit) => void>()
  let reserved = 0
  let unused = 0

  function reserve(): SlotPermit {
    reserved += 1
    unused += 1
    return { isUsed: false, isReleased: false }
  }

  function release(permit: object): void {
    if (!isPermit(permit) || permit.isReleased) return
    permit.isReleased = true
    reserved -= 1
    if (!permit.isUsed) unused -= 1
    changed()
  }

  function pump(): boolean {
    for (const grant of waiting) {
      if (reserved >= limit || !mayAsk(unused)) return true
      waiting.delete(grant)
      grant(reserve())
    }
    return false
  }

  return {
    type: 'custom',
    pump,
    reserveSlot: (_, signal) =>
      new Promise((resolve, reject) => {
        let granted: SlotPermit | null = null
        const grant = (permit: SlotPermit): void => {
          granted = permit
          resolve(permit)
        }
        signal.addEventListener('abort', () => {
          waiting.delete(grant)
          // Granted while Temporal stopped waiting: nobody would give it back.
          if (granted !== null) release(granted)
          reject(signal.reason)
        })
        waiting.add(grant)
        changed()
      }),
    tryReserveSlot: () => (mayTry() && reserved < limit ? reserve() : null),
    markSlotUsed: ({ permit, slotInfo }) => {
      if (!isPermit(permit) || permit.isUsed) return
      permit.isUsed = true
      unused -= 1
      used(slotInfo.activityType)
      changed()
    },
    releaseSlot: ({ permit }) => release(permit),
  }
}

function isPermit(permit: object): permit is SlotPermit {
  return 'isUsed' in permit && 'isReleased' in permit
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
