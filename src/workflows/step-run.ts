/** Runs a plan's steps in the order of its frontier. */
import { CancellationScope, condition, isCancellation, proxyActivities } from '@temporalio/workflow'
import { ActivityFailure, ApplicationFailure } from '@temporalio/common'
import type { MillraceActivities } from '../activities/index.ts'
import type { Frontier } from '../graph/frontier.ts'
import type { BuildEnding, BuildInput, BuildPlan, BuildStatus, BuildStep } from '../payloads.ts'
import { STEP_OPTIONS } from './activity-options.ts'
import type { BuildTracker } from './build-tracker.ts'

const { buildModel } = proxyActivities<MillraceActivities>(STEP_OPTIONS)

export const DEFAULT_LOCK_TIMEOUT_SECONDS = 60
const TIMEOUT_GRACE_MS = 60_000

export interface StepRunOptions {
  build: { workflowId: string; runId: string }
  input: BuildInput
  executionMs: number
  tracker: BuildTracker
  /** Called after every change. */
  onChange: () => void
}

export class StepRun {
  /** The cancellation that ended the build; null when there was none. */
  cancellation: unknown = null
  readonly #plan: BuildPlan
  readonly #frontier: Frontier
  readonly #options: StepRunOptions
  #changes = 0

  constructor(plan: BuildPlan, frontier: Frontier, options: StepRunOptions) {
    this.#plan = plan
    this.#frontier = frontier
    this.#options = options
  }

  /** Starts steps as they become ready until nothing runs and nothing can start. */
  async drain(): Promise<Exclude<BuildStatus, 'running'>> {
    try {
      while (!this.#frontier.finished) {
        for (let step = this.#frontier.next(); step !== null; step = this.#frontier.next()) void this.#run(step)
        if (this.#frontier.finished) break
        const seen = this.#changes
        this.#options.onChange()
        // One cheap comparison per activation, whatever the number of steps in flight.
        await condition(() => this.#changes !== seen)
      }
    } catch (error) {
      if (!isCancellation(error)) throw error
      this.cancellation = error
      this.#frontier.stop()
      // The running steps were cancelled with the workflow: each says so once its transaction is rolled back, or that it committed.
      await CancellationScope.nonCancellable(() => condition(() => this.#frontier.running.length === 0))
    }
    if (this.cancellation !== null) return 'canceled'
    const counts = this.#frontier.counts()
    return counts.failed > 0 ? 'failed' : 'succeeded'
  }

  /** How the steps that did not succeed ended. */
  ending(): BuildEnding {
    const failed: number[] = []
    const canceled: number[] = []
    const skipped: [number, number][] = []
    this.#plan.steps.forEach((_, index) => {
      const state = this.#frontier.state(index)
      const cause = this.#frontier.causeOf(index)
      if (state === 'failed') failed.push(index)
      else if (state === 'skipped' && cause !== null) skipped.push([index, cause])
      else if (state !== 'done') canceled.push(index)
    })
    return { failed, skipped, canceled }
  }

  async #run(index: number): Promise<void> {
    const { tracker, build, input, executionMs } = this.#options
    const step = this.#plan.steps[index]
    if (step === undefined) throw ApplicationFailure.nonRetryable(`no step ${index}`, 'INTERNAL')
    tracker.started(index)
    try {
      const outcome = await buildModel.executeWithOptions(
        { activityId: activityId(this.#plan, index), summary: summaryOf(this.#plan, index), ...timeoutOf(step) },
        [
          {
            build,
            project: this.#plan.project,
            environment: this.#plan.environment,
            gateway: this.#plan.gateway,
            index,
            step: { ...step, parents: [] },
            executionMs,
            lockTimeoutSeconds: input.lockTimeoutSeconds ?? DEFAULT_LOCK_TIMEOUT_SECONDS,
          },
        ],
      )
      this.#frontier.succeed(index)
      tracker.succeeded(index, outcome)
    } catch (error) {
      if (isCancellation(error)) {
        this.#frontier.cancel(index)
        tracker.canceled(index)
      } else {
        const skipped = this.#frontier.fail(index)
        tracker.failed(index, toModelError(error), skipped)
        if (input.failFast === true) {
          this.#frontier.stop()
          tracker.skipped(this.#frontier.remaining('skipped', index), index)
        }
      }
    }
    this.#changes += 1
  }
}

/** The activity ends its query itself when the time is up; the server only steps in when it does not. */
function timeoutOf({ timeoutMs }: BuildStep): { startToCloseTimeout?: number } {
  return timeoutMs === undefined ? {} : { startToCloseTimeout: timeoutMs + TIMEOUT_GRACE_MS }
}

/** Unique among pending activities, and what a person types to find or pause it. */
function activityId(plan: BuildPlan, index: number): string {
  const step = plan.steps[index]
  const batched = plan.steps[index - 1]?.model === step?.model || plan.steps[index + 1]?.model === step?.model
  return batched && step?.interval != null ? `${step.model}@${day(step.interval[0])}` : (step?.model ?? String(index))
}

function summaryOf(plan: BuildPlan, index: number): string {
  const step = plan.steps[index]
  if (step === undefined) return ''
  const kind = step.kind.toLowerCase()
  if (step.interval === null || kind !== 'incremental_by_time_range') return `${step.model} · ${kind}`
  return `${step.model} · ${span(...step.interval)}`
}

const DAY_MS = 86_400_000

/** As a person says it: days by the first and the last one, anything finer by its half-open bounds. */
function span(start: number, end: number): string {
  if (start % DAY_MS !== 0 || end % DAY_MS !== 0) return `${minute(start)} – ${minute(end)}`
  const last = end - DAY_MS
  return last <= start ? day(start) : `${day(start)} – ${day(last)}`
}

/** Midnight is written as a date. */
function day(ms: number): string {
  return minute(ms).replace('T00:00Z', '')
}

function minute(ms: number): string {
  return new Date(ms).toISOString().replace(':00.000Z', 'Z')
}

function toModelError(error: unknown): { code: string; message: string } {
  const cause = error instanceof ActivityFailure ? error.cause : error
  if (cause instanceof ApplicationFailure) return { code: cause.type ?? 'INTERNAL', message: cause.message }
  return { code: 'INTERNAL', message: cause instanceof Error ? cause.message : String(cause) }
}
