/** Runs a plan's steps in the order of its frontier. */
import { CancellationScope, condition, isCancellation, proxyActivities, workflowInfo } from '@temporalio/workflow'
import { ActivityFailure, ApplicationFailure } from '@temporalio/common'
import type { MillraceActivities } from '../activities/index.ts'
import type { Frontier } from '../graph/frontier.ts'
import { packNumbers } from '../graph/packed-numbers.ts'
import { SLICE_BYTES } from '../graph/plan-slices.ts'
import type { BuildEnding, BuildId, BuildInput, BuildPlan, BuildStatus, BuildStep } from '../payloads.ts'
import { STEP_OPTIONS } from './activity-options.ts'
import type { BuildTracker } from './build-tracker.ts'
import { activityIdOf, summaryOf } from './describe-step.ts'
import { handOver } from './history-budget.ts'

const { buildModel } = proxyActivities<MillraceActivities>(STEP_OPTIONS)

export const DEFAULT_LOCK_TIMEOUT_SECONDS = 60
const TIMEOUT_GRACE_MS = 60_000
/** While a run hands over nothing is started: longer than this that costs more than a longer history. */
const LITTLE_MS = 2_000

export interface StepRunOptions {
  build: BuildId
  input: BuildInput
  executionMs: number
  tracker: BuildTracker
  /** What people may change while it runs. */
  settings: { readonly paused: boolean; readonly failFast: boolean }
  /** Called after every change. */
  onChange: () => void
}

interface RunningStep {
  scope: CancellationScope
  startedMs: number
  /** It is cancelled because somebody said to leave it out. */
  skipped: boolean
}

/** How the steps of one run of the workflow came to their end; `unfinished` ones go on in the next run. */
export type DrainedSteps = Exclude<BuildStatus, 'running'> | 'unfinished'

export class StepRun {
  /** The cancellation that ended the build; null when there was none. */
  cancellation: unknown = null
  readonly #plan: BuildPlan
  readonly #steps: readonly BuildStep[]
  readonly #frontier: Frontier
  readonly #options: StepRunOptions
  readonly #running = new Map<number, RunningStep>()
  readonly #suggestedAtStart = workflowInfo().continueAsNewSuggested
  #changes = 0

  constructor(plan: BuildPlan, steps: readonly BuildStep[], frontier: Frontier, options: StepRunOptions) {
    this.#plan = plan
    this.#steps = steps
    this.#frontier = frontier
    this.#options = options
  }

  /** Starts steps as they become ready until nothing runs and nothing can start, or until this run has had its share. */
  async drain(): Promise<DrainedSteps> {
    const frontier = this.#frontier
    try {
      for (;;) {
        const need = this.#needToHandOver()
        const handsOver = need === 'now' || (need === 'soon' && this.#remainingMs() < LITTLE_MS)
        if (!handsOver && !this.#options.settings.paused) this.#startReady()
        if (this.#isOver()) break
        if (handsOver && frontier.running.length === 0) return 'unfinished'
        const seen = this.#changes
        this.#options.onChange()
        // One cheap comparison per activation, whatever the number of steps in flight.
        const changed = (): boolean => this.#changes !== seen
        // A step that takes longer than expected must not hold up all others.
        if (handsOver && need === 'soon') await condition(changed, LITTLE_MS)
        else await condition(changed)
      }
    } catch (error) {
      if (!isCancellation(error)) throw error
      this.cancellation = error
      frontier.stop()
      // The running steps were cancelled with the workflow: each says so once its transaction is rolled back, or that it committed.
      await CancellationScope.nonCancellable(() => condition(() => frontier.running.length === 0))
    }
    if (this.cancellation !== null) return 'canceled'
    const { failed, skipped } = frontier.counts()
    return failed + skipped > 0 ? 'failed' : 'succeeded'
  }

  /** Something was changed from outside: what may start now is looked at anew. */
  changed(): void {
    if (this.#options.settings.failFast && this.#frontier.counts().failed > 0) this.#stopForFailure()
    this.#changes += 1
  }

  /** Leaves out the steps; those that run are interrupted first. */
  skip(steps: readonly number[]): void {
    for (const step of steps) {
      const running = this.#running.get(step)
      if (running === undefined) this.#skipped(step)
      else {
        running.skipped = true
        running.scope.cancel()
      }
    }
    this.changed()
  }

  /** Gives steps that failed, or were skipped by hand, another chance. */
  reopen(steps: readonly number[]): void {
    this.#options.tracker.reopened(this.#frontier.reopen(steps))
    this.changed()
  }

  /** How the steps that did not succeed ended. */
  ending(): BuildEnding {
    const ended = { failed: [] as number[], skipped: [] as number[], causes: [] as number[], canceled: [] as number[] }
    this.#steps.forEach((_, index) => {
      const state = this.#frontier.state(index)
      const cause = this.#frontier.causeOf(index)
      if (state === 'failed') ended.failed.push(index)
      else if (state === 'skipped' && cause !== null) {
        ended.skipped.push(index)
        ended.causes.push(cause)
      } else if (state !== 'done') ended.canceled.push(index)
    })
    return {
      failed: packNumbers(ended.failed),
      skipped: packNumbers(ended.skipped),
      causes: packNumbers(ended.causes),
      canceled: packNumbers(ended.canceled),
    }
  }

  /** A paused build in which something did not succeed stays open: it may be tried again. */
  #isOver(): boolean {
    const frontier = this.#frontier
    if (!frontier.finished) return false
    const { failed, skipped } = frontier.counts()
    return !this.#options.settings.paused || frontier.stopped || failed + skipped === 0
  }

  #startReady(): void {
    for (let step = this.#frontier.next(); step !== null; step = this.#frontier.next()) void this.#run(step)
  }

  async #run(index: number): Promise<void> {
    const { tracker } = this.#options
    tracker.started(index)
    const running: RunningStep = { scope: new CancellationScope(), startedMs: Date.now(), skipped: false }
    this.#running.set(index, running)
    try {
      const outcome = await running.scope.run(() => this.#execute(index))
      this.#frontier.succeed(index)
      tracker.succeeded(index, outcome)
    } catch (error) {
      // Whatever an interrupted step died of, it was to be left out.
      if (running.skipped) this.#skipped(index)
      else if (!isCancellation(error)) this.#failed(index, error)
      else {
        this.#frontier.cancel(index)
        tracker.canceled(index)
      }
    }
    this.#running.delete(index)
    this.#changes += 1
  }

  #execute(index: number): ReturnType<typeof buildModel> {
    const { build, input, executionMs } = this.#options
    const { project, environment, gateway } = this.#plan
    const step = this.#steps[index]
    if (step === undefined) throw ApplicationFailure.nonRetryable(`no step ${index}`, 'INTERNAL')
    const lockTimeoutSeconds = input.lockTimeoutSeconds ?? DEFAULT_LOCK_TIMEOUT_SECONDS
    return buildModel.executeWithOptions(
      { activityId: activityIdOf(this.#steps, index), summary: summaryOf(step), ...timeoutOf(step) },
      [
        {
          build,
          project,
          environment,
          gateway,
          index,
          step: { ...step, parents: [] },
          executionMs,
          lockTimeoutSeconds,
        },
      ],
    )
  }

  #failed(index: number, error: unknown): void {
    this.#options.tracker.failed(index, toModelError(error), this.#frontier.fail(index))
    if (this.#options.settings.failFast) this.#stopForFailure(index)
  }

  #skipped(index: number): void {
    this.#options.tracker.skippedByHand(index, this.#running.has(index), this.#frontier.skip(index))
  }

  #stopForFailure(index = this.#frontier.endedSteps().unsuccessful[0] ?? 0): void {
    this.#frontier.stop()
    this.#options.tracker.skipped(this.#frontier.remaining('skipped', index), index)
  }

  #needToHandOver(): ReturnType<typeof handOver> {
    const { historyLength: events, historySize: bytes, continueAsNewSuggested } = workflowInfo()
    const planBytes = this.#plan.slices.length * SLICE_BYTES
    const suggested = continueAsNewSuggested && !this.#suggestedAtStart
    return handOver({ events, bytes, planBytes, suggested }, this.#frontier.running.length)
  }

  /** How long the longest running step may still take: by what it took before, or twice what it has taken if that was less. */
  #remainingMs(): number {
    let longest = 0
    for (const [index, { startedMs }] of this.#running) {
      const elapsed = Date.now() - startedMs
      longest = Math.max(longest, (this.#steps[index]?.weight ?? 0) - elapsed, elapsed)
    }
    return longest
  }
}

/** The activity ends its query itself when the time is up; the server only steps in when it does not. */
function timeoutOf({ timeoutMs }: BuildStep): { startToCloseTimeout?: number } {
  return timeoutMs === undefined ? {} : { startToCloseTimeout: timeoutMs + TIMEOUT_GRACE_MS }
}

function toModelError(error: unknown): { code: string; message: string } {
  const cause = error instanceof ActivityFailure ? error.cause : error
  if (cause instanceof ApplicationFailure) return { code: cause.type ?? 'INTERNAL', message: cause.message }
  return { code: 'INTERNAL', message: cause instanceof Error ? cause.message : String(cause) }
}
