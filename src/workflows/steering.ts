/** What people may change of a running build, and when. What is refused is refused before it is in the history. */
import { ApplicationFailure } from '@temporalio/common'
import { nearest } from '../errors.ts'
import type { Frontier, StepState } from '../graph/frontier.ts'
import type { BuildInput, BuildStep } from '../payloads.ts'
import type { BuildTracker } from './build-tracker.ts'
import type { StepRun } from './step-run.ts'

export const MAX_PARALLEL = 500
const DEFAULT_PARALLEL = 32
const STEPS_PER_LEASE = 2

export interface Settings {
  paused: boolean
  /** Steps in flight, as asked for. */
  parallel: number
  failFast: boolean
}

/** The part of a build that is there once it is planned. */
export interface SteeredSteps {
  steps: readonly BuildStep[]
  frontier: Frontier
  run: StepRun
  /** Leases the connection gives at once. */
  concurrentTasks: number
}

export class Steering {
  readonly settings: Settings
  readonly #tracker: BuildTracker
  #steered: SteeredSteps | null = null
  #closed = false

  constructor(settings: Settings, tracker: BuildTracker) {
    this.settings = settings
    this.#tracker = tracker
    tracker.situated({ paused: settings.paused })
  }

  /** What the build that this one repeats was asked for. */
  repeat(asked: Pick<BuildInput, 'maxParallel' | 'failFast'>): void {
    if (asked.maxParallel !== undefined) this.settings.parallel = initialSettings(asked).parallel
    if (asked.failFast !== undefined) this.settings.failFast = asked.failFast
  }

  /** From here on there is something to steer. */
  steer(steered: SteeredSteps): void {
    this.#steered = steered
    this.#changed()
  }

  /** No step starts any more: what comes now comes too late. */
  close(): void {
    this.#closed = true
  }

  pause(): string {
    this.settings.paused = true
    this.#changed()
    const running = this.#steered?.frontier.running.length ?? 0
    return `Paused: nothing more is started until it is resumed${running === 0 ? '' : `; ${running} steps run to their end`}`
  }

  resume(): string {
    this.settings.paused = false
    this.#changed()
    return 'Resumed'
  }

  setParallel(parallel: number): string {
    this.settings.parallel = parallel
    this.#changed()
    const window = this.#steered?.frontier.window ?? parallel
    return `Up to ${window} steps in flight${window < parallel ? ', which is what the connection allows' : ''}`
  }

  setFailFast(failFast: boolean): string {
    this.settings.failFast = failFast
    this.#changed()
    return failFast
      ? 'Nothing more is started once a model has failed'
      : 'What does not depend on a failed model is built'
  }

  skipModel(model: string): string {
    const steps = this.#stepsOf(model, OPEN)
    const running = steps.filter((step) => this.#steered?.frontier.state(step) === 'running').length
    this.#steered?.run.skip(steps)
    return `Skipped '${nameOf(model)}'${running === 0 ? '' : '; it is interrupted'}. Nothing will be promoted unless it is retried`
  }

  retryModel(model?: string): string {
    const steps = this.#stepsToRetry(model)
    this.#steered?.run.reopen(steps)
    const names = new Set(steps.map((step) => this.#steered?.steps[step]?.model))
    return `Trying ${[...names].slice(0, 5).join(', ')}${names.size > 5 ? ` and ${names.size - 5} more` : ''} again`
  }

  assertOpen(): void {
    if (this.#closed) throw refusal('the build has done its steps; it is about to end')
  }

  assertParallel(parallel: unknown): void {
    this.assertOpen()
    if (Number.isInteger(parallel) && Number(parallel) >= 1 && Number(parallel) <= MAX_PARALLEL) return
    throw refusal(`expected a whole number from 1 to ${MAX_PARALLEL}; got ${JSON.stringify(parallel)}`)
  }

  assertFailFast(failFast: unknown): void {
    this.assertOpen()
    if (typeof failFast !== 'boolean') throw refusal(`expected true or false; got ${JSON.stringify(failFast)}`)
  }

  assertSkippable(model: unknown): void {
    this.#assertModel(model)
    if (this.#stepsOf(model, OPEN).length === 0) throw refusal(`'${nameOf(model)}' has ended already`)
  }

  assertRetryable(model: unknown): void {
    this.assertOpen()
    if (model !== undefined && model !== null) this.#assertModel(model)
    else if (this.#steered === null) throw refusal('nothing has failed yet: the build is being planned')
    if (this.#stepsToRetry(model ?? undefined).length > 0) return
    throw refusal(
      model == null
        ? 'expected a model that failed or was skipped by hand; there is none'
        : `'${nameOf(model)}' has not failed`,
    )
  }

  #assertModel(model: unknown): asserts model is string {
    this.assertOpen()
    if (typeof model !== 'string') throw refusal(`expected the name of a model; got ${JSON.stringify(model)}`)
    if (this.#steered === null) throw refusal('the build is being planned')
    const names = new Set(this.#steered.steps.map((step) => step.model))
    if (names.has(nameOf(model))) return
    const near = nearest(nameOf(model), [...names])
    throw refusal(
      `expected a model that this build builds; got '${model}'${near === null ? '' : `. Did you mean '${near}'?`}`,
    )
  }

  #stepsToRetry(model: unknown): number[] {
    const unsuccessful = this.#steered?.frontier.endedSteps().unsuccessful ?? []
    if (typeof model !== 'string') return [...unsuccessful]
    return unsuccessful.filter((step) => this.#steered?.steps[step]?.model === nameOf(model))
  }

  #stepsOf(model: string, states: ReadonlySet<StepState>): number[] {
    const { steps, frontier } = this.#steered ?? { steps: [], frontier: null }
    return steps.flatMap((step, index) =>
      step.model === nameOf(model) && frontier !== null && states.has(frontier.state(index)) ? [index] : [],
    )
  }

  #changed(): void {
    const steered = this.#steered
    if (steered !== null) steered.frontier.window = windowOf(this.settings.parallel, steered.concurrentTasks)
    this.#tracker.situated({ paused: this.settings.paused, window: steered?.frontier.window ?? 0 })
    steered?.run.changed()
  }
}

export function initialSettings({ maxParallel = DEFAULT_PARALLEL, failFast = false }: BuildInput): Settings {
  return { paused: false, parallel: Math.max(1, Math.min(MAX_PARALLEL, Math.floor(maxParallel))), failFast }
}

/**
 * Steps in flight. Those beyond the connection's leases wait in the order they came, not by their path: enough of them
 * that no lease is idle between two steps, and no more, or a long chain would wait behind a wide layer.
 */
export function windowOf(parallel: number, concurrentTasks: number): number {
  return Math.max(1, Math.min(parallel, concurrentTasks * STEPS_PER_LEASE))
}

const OPEN: ReadonlySet<StepState> = new Set(['pending', 'ready', 'running'])

/** Names of models are in lower case, whatever people type. */
function nameOf(model: unknown): string {
  return String(model).toLowerCase()
}

function refusal(message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(message, 'USAGE')
}
