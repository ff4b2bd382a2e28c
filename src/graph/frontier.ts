/** Which steps of a build may start, run, or have ended. Deterministic and without a clock: it runs inside the workflow. Pure. */
import { MillraceError } from '../errors.ts'
import type { WeightedStep } from './critical-path.ts'
import { remainingPath } from './critical-path.ts'

export type StepState = 'pending' | 'ready' | 'running' | 'done' | 'failed' | 'skipped' | 'canceled'

/**
 * What happens       step itself            others
 * -----------------  ---------------------  ------------------------------------------------------------
 * new Frontier       pending                steps without parents: pending → ready
 * next()             ready → running        (the one with the longest remaining path, ties by index)
 * succeed(i)         running → done         children whose last open parent it was: pending → ready
 * fail(i)            running → failed       descendants: pending → skipped, because of i
 * cancel(i)          running → canceled     descendants: pending → canceled, because of i
 * stop()             –                      none; next() gives nothing any more
 * remaining(state)   –                      after stop(): pending, ready → that state (skipped or canceled)
 *
 * done, failed, skipped and canceled are final: no event changes them, so the first cause stays.
 * Anything not in this table is a programming error and throws `INTERNAL`.
 * Steps have no cycle; `ModelGraph` guarantees it.
 */
export class Frontier {
  readonly #window: number
  readonly #children: readonly (readonly number[])[]
  readonly #openParents: number[]
  readonly #states: StepState[]
  readonly #causes: (number | null)[]
  readonly #counts: Record<StepState, number>
  readonly #ready: ReadyQueue
  /** In the order of their start. */
  readonly #running = new Set<number>()
  #stopped = false

  /** @param options.window How many steps may run at once, at least 1. */
  constructor(steps: readonly WeightedStep[], options: { window: number }) {
    if (!(options.window >= 1)) {
      throw new MillraceError('INTERNAL', `Expected a window of at least 1, got ${options.window}`)
    }
    this.#window = options.window
    this.#ready = new ReadyQueue(remainingPath(steps))
    this.#children = childrenOf(steps)
    this.#openParents = steps.map((step) => step.parents.length)
    this.#states = steps.map(() => 'pending')
    this.#causes = steps.map(() => null)
    this.#counts = { pending: steps.length, ready: 0, running: 0, done: 0, failed: 0, skipped: 0, canceled: 0 }
    for (const [step, open] of this.#openParents.entries()) if (open === 0) this.#makeReady(step)
  }

  /** Nothing runs and nothing more will start. After `stop()`, what never started stays as it was until `remaining()`. */
  get finished(): boolean {
    return this.#running.size === 0 && (this.#stopped || this.#ready.size === 0)
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

  /** The step whose failure or cancellation ended this one before it started; null if there is none. */
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
    return this.#settleDescendants(step, 'skipped')
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

function childrenOf(steps: readonly WeightedStep[]): number[][] {
  const children: number[][] = steps.map(() => [])
  for (const [step, { parents }] of steps.entries()) for (const parent of parents) children[parent]?.push(step)
  return children
}

/** A binary heap of steps: the longest path on top, of equal ones the lowest index. */
class ReadyQueue {
  readonly #paths: readonly number[]
  readonly #heap: number[] = []

  constructor(paths: readonly number[]) {
    this.#paths = paths
  }

  get size(): number {
    return this.#heap.length
  }

  push(step: number): void {
    const heap = this.#heap
    let at = heap.length
    while (at > 0) {
      const above = (at - 1) >> 1
      const other = heap[above]
      if (other === undefined || this.#isBefore(other, step)) break
      heap[at] = other
      at = above
    }
    heap[at] = step
  }

  pop(): number | null {
    const heap = this.#heap
    const [top] = heap
    const last = heap.pop()
    if (top === undefined || last === undefined) return null
    if (heap.length > 0) this.#sink(last)
    return top
  }

  clear(): void {
    this.#heap.length = 0
  }

  /** Puts `step` in the place of the top and lets it sink to where it belongs. */
  #sink(step: number): void {
    const heap = this.#heap
    let at = 0
    for (;;) {
      const left = heap[2 * at + 1]
      const right = heap[2 * at + 2]
      if (left === undefined) break
      const rightFirst = right !== undefined && this.#isBefore(right, left)
      const first = rightFirst ? right : left
      if (this.#isBefore(step, first)) break
      heap[at] = first
      at = 2 * at + (rightFirst ? 2 : 1)
    }
    heap[at] = step
  }

  #isBefore(a: number, b: number): boolean {
    const difference = (this.#paths[a] ?? 0) - (this.#paths[b] ?? 0)
    return difference === 0 ? a < b : difference > 0
  }
}
