/** Which steps of a build may start, run, or have ended. Deterministic and without a clock: it runs inside the workflow. Pure. */
import { MillraceError } from '../errors.ts'
import type { WeightedStep } from './critical-path.ts'
import { remainingPath } from './critical-path.ts'
import { ReadyQueue } from './ready-queue.ts'

export type StepState = 'pending' | 'ready' | 'running' | 'done' | 'failed' | 'skipped' | 'canceled'

/** Steps that have ended for themselves; what ended because of them is not among them. */
export interface EndedSteps {
  done: readonly number[]
  /** Failed or skipped by hand, in that order. */
  unsuccessful: readonly number[]
  /** Those of them that were skipped by hand. */
  skipped: readonly number[]
}

/**
 * What happens       step itself            others
 * -----------------  ---------------------  ------------------------------------------------------------
 * new Frontier       pending                steps without parents: pending → ready
 * next()             ready → running        (the one with the longest remaining path, ties by index)
 * succeed(i)         running → done         children whose last open parent it was: pending → ready
 * fail(i)            running → failed       descendants: pending → skipped, because of i
 * cancel(i)          running → canceled     descendants: pending → canceled, because of i
 * skip(i)            any open one → skipped descendants: pending → skipped, because of i; its own cause is itself
 * reopen(steps)      failed, skipped →      what is skipped because of them: → pending, unless another cause is left
 *                    pending or ready
 * stop()             –                      none; next() gives nothing any more
 * remaining(state)   –                      after stop(): pending, ready → that state (skipped or canceled)
 *
 * done and canceled are final; failed and skipped are until somebody reopens them. The first cause stays.
 * Anything not in this table is a programming error and throws `INTERNAL`.
 * Steps have no cycle; `ModelGraph` guarantees it.
 */
export class Frontier {
  #window: number
  readonly #children: readonly (readonly number[])[]
  readonly #openParents: number[]
  readonly #states: StepState[]
  readonly #causes: (number | null)[]
  readonly #counts: Record<StepState, number>
  readonly #ready: ReadyQueue
  /** In the order of their start. */
  readonly #running = new Set<number>()
  /** Failed, or skipped by hand, in that order: the first of them is the cause of a descendant's end. */
  readonly #causing = new Set<number>()
  #stopped = false

  /**
   * @param options.window How many steps may run at once, at least 1.
   * @param options.ended How steps have ended before, for a build that goes on.
   */
  constructor(steps: readonly WeightedStep[], options: { window: number; ended?: EndedSteps }) {
    this.#window = checkedWindow(options.window)
    this.#ready = new ReadyQueue(remainingPath(steps))
    this.#children = childrenOf(steps)
    this.#openParents = steps.map((step) => step.parents.length)
    this.#states = steps.map(() => 'pending')
    this.#causes = steps.map(() => null)
    this.#counts = { pending: steps.length, ready: 0, running: 0, done: 0, failed: 0, skipped: 0, canceled: 0 }
    if (options.ended !== undefined) this.#restore(options.ended)
    for (const [step, open] of this.#openParents.entries()) {
      if (open === 0 && this.#states[step] === 'pending') this.#makeReady(step)
    }
  }

  get window(): number {
    return this.#window
  }

  /** How many steps may run at once from here on, at least 1; what runs goes on. */
  set window(window: number) {
    this.#window = checkedWindow(window)
  }

  /** Nothing runs and nothing more will start. After `stop()`, what never started stays as it was until `remaining()`. */
  get finished(): boolean {
    return this.#running.size === 0 && (this.#stopped || this.#ready.size === 0)
  }

  /** Nothing will ever start again. */
  get stopped(): boolean {
    return this.#stopped
  }

  /** What another frontier of the same steps needs to go on from here, once nothing runs. */
  endedSteps(): EndedSteps {
    const unsuccessful = [...this.#causing]
    return {
      done: this.#states.flatMap((state, step) => (state === 'done' ? [step] : [])),
      unsuccessful,
      skipped: unsuccessful.filter((step) => this.#states[step] === 'skipped'),
    }
  }

  /** The running steps in the order of their start. */
  get running(): number[] {
    return [...this.#running]
  }

  state(step: number): StepState {
    const state = this.#states[step]
    if (state === undefined) {
      throw new MillraceError('INTERNAL', `Expected a step below ${this.#states.length}, got ${step}`)
    }
    return state
  }

  /** The step whose failure, skip or cancellation ended this one before it started, itself if that was asked for; null if there is none. */
  causeOf(step: number): number | null {
    return this.#causes[step] ?? null
  }

  counts(): Record<StepState, number> {
    return { ...this.#counts }
  }

  /** Starts a step and returns it; null when the window is full, nothing is ready, or it is stopped. */
  next(): number | null {
    if (this.#stopped || this.#running.size >= this.#window) return null
    const step = this.#ready.pop()
    if (step === null) return null
    this.#move(step, 'running')
    this.#running.add(step)
    return step
  }

  succeed(step: number): void {
    this.#end(step, 'done')
    for (const child of this.#children[step] ?? []) {
      const open = (this.#openParents[child] ?? 0) - 1
      this.#openParents[child] = open
      // A child that was skipped for another parent, or settled after a stop, stays as it is.
      if (open === 0 && this.#states[child] === 'pending') this.#makeReady(child)
    }
  }

  /** Returns the steps that are skipped because of it, nearest first; those that were skipped before keep their first cause and are not among them. */
  fail(step: number): number[] {
    this.#end(step, 'failed')
    this.#causing.add(step)
    return this.#settleDescendants(step, 'skipped')
  }

  /** Leaves out a step that has not ended. Returns the steps that are skipped with it, nearest first. */
  skip(step: number): number[] {
    const now = this.state(step)
    if (now === 'running') this.#running.delete(step)
    else if (now === 'ready') this.#ready.remove(step)
    else if (now !== 'pending') {
      throw new MillraceError('INTERNAL', `Expected step ${step} to be open before it is skipped, it is ${now}`)
    }
    this.#settle(step, 'skipped', step)
    this.#causing.add(step)
    return this.#settleDescendants(step, 'skipped')
  }

  /** Gives steps that failed or were skipped by hand another chance. Returns all that are open again, by index. */
  reopen(steps: readonly number[]): number[] {
    for (const step of steps) {
      if (!this.#causing.delete(step)) {
        throw new MillraceError('INTERNAL', `Expected step ${step} to have failed, it is ${this.state(step)}`)
      }
    }
    const reopened = new Set(steps)
    const closed = [...this.#states.keys()].filter(
      (step) => reopened.has(step) || (this.#states[step] === 'skipped' && !this.#causing.has(step)),
    )
    for (const step of closed) {
      this.#move(step, 'pending')
      this.#causes[step] = null
    }
    for (const cause of this.#causing) this.#settleDescendants(cause, 'skipped')
    const open = closed.filter((step) => this.#states[step] === 'pending')
    for (const step of open) if (this.#openParents[step] === 0) this.#makeReady(step)
    return open
  }

  /** Returns the steps that are canceled with it, nearest first. */
  cancel(step: number): number[] {
    this.#end(step, 'canceled')
    return this.#settleDescendants(step, 'canceled')
  }

  /** Nothing more is started; what runs goes on. May be called twice. */
  stop(): void {
    this.#stopped = true
  }

  /** After `stop()`: gives every step that never started its final state, and returns those steps by index. `because` is the step that led to the stop, if one did. */
  remaining(state: 'skipped' | 'canceled', because: number | null = null): number[] {
    if (!this.#stopped) throw new MillraceError('INTERNAL', 'Expected stop() before remaining()')
    const steps = [...this.#states.keys()].filter((step) => ['pending', 'ready'].includes(this.state(step)))
    for (const step of steps) this.#settle(step, state, because)
    this.#ready.clear()
    return steps
  }

  /** In the order it came to be; what was skipped because of others follows from it. */
  #restore({ done, unsuccessful, skipped }: EndedSteps): void {
    for (const step of done) {
      this.#move(step, 'done')
      for (const child of this.#children[step] ?? []) this.#openParents[child] = (this.#openParents[child] ?? 0) - 1
    }
    const byHand = new Set(skipped)
    for (const step of unsuccessful) {
      if (byHand.has(step)) this.#settle(step, 'skipped', step)
      else this.#move(step, 'failed')
      this.#causing.add(step)
    }
    for (const step of unsuccessful) this.#settleDescendants(step, 'skipped')
  }

  #makeReady(step: number): void {
    this.#move(step, 'ready')
    this.#ready.push(step)
  }

  #end(step: number, state: 'done' | 'failed' | 'canceled'): void {
    const now = this.state(step)
    if (now !== 'running') {
      throw new MillraceError('INTERNAL', `Expected step ${step} to be running before it is ${state}, it is ${now}`)
    }
    this.#running.delete(step)
    this.#move(step, state)
  }

  /** A step that is not pending any more has no pending descendants, so the walk ends there and all walks together visit an edge once. */
  #settleDescendants(cause: number, state: 'skipped' | 'canceled'): number[] {
    const settled: number[] = []
    const settleChildren = (step: number): void => {
      for (const child of this.#children[step] ?? []) {
        if (this.#states[child] !== 'pending') continue
        this.#settle(child, state, cause)
        settled.push(child)
      }
    }
    settleChildren(cause)
    for (const step of settled) settleChildren(step)
    return settled
  }

  #settle(step: number, state: 'skipped' | 'canceled', cause: number | null): void {
    this.#move(step, state)
    this.#causes[step] = cause
  }

  #move(step: number, to: StepState): void {
    this.#counts[this.state(step)]--
    this.#counts[to]++
    this.#states[step] = to
  }
}

function checkedWindow(window: number): number {
  if (window >= 1) return window
  throw new MillraceError('INTERNAL', `Expected a window of at least 1, got ${window}`)
}

function childrenOf(steps: readonly WeightedStep[]): number[][] {
  const children: number[][] = steps.map(() => [])
  for (const [step, { parents }] of steps.entries()) for (const parent of parents) children[parent]?.push(step)
  return children
}
