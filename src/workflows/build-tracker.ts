/** Counts models while their steps run: what the query and the details show. Deterministic. */
import {
  emptyCounts,
  MAX_PROBLEMS,
  SKIPPED_BY_HAND,
  skippedBecause,
  type BuildCounts,
  type BuildId,
  type BuildPlan,
  type BuildProgress,
  type BuildStatus,
  type BuildStep,
  type BuildSummary,
  type ModelProblem,
  type ModelStatus,
  type StepOutcome,
} from '../payloads.ts'
import type { FinishedBuild } from '../activities/finish-build.ts'
import { SlowestModels, type SlowModel } from './slowest-models.ts'

/** Of the build as a whole: the same in all its runs. */
export interface TrackedBuild {
  project: string
  environment: string
  build: BuildId
  startedMs: number
  /** Id of the schedule that started it. */
  schedule: string | null
  /** This run counted. */
  runs: number
}

/** What the next run must know to tell the same story; the rest follows from how the steps have ended. */
export interface CarriedTracker {
  counts: BuildCounts
  stepsDone: number
  /** Steps whose audits warned. */
  warned: number[]
  problems: ModelProblem[]
  slowest: SlowModel[]
}

/** What people may change, or the build waits for. */
export type Situation = Pick<BuildProgress, 'paused' | 'window' | 'waitingFor'>

interface TrackedModel {
  name: string
  steps: number
  done: number
  warned: boolean
  running: number
  /** Epoch ms of its first step's start. */
  startedMs: number | null
  /** Of its finished steps together. */
  durationMs: number
  /** Null while it is pending. */
  ended: ModelStatus | null
}

export class BuildTracker {
  readonly #build: TrackedBuild
  readonly #models = new Map<string, TrackedModel>()
  /** Those with a running step, in the order they started: kept apart, since the details are written at every change. */
  readonly #running = new Set<TrackedModel>()
  readonly #slowest = new SlowestModels()
  readonly #warned = new Set<number>()
  #problems: ModelProblem[] = []
  #steps: readonly BuildStep[] = []
  #stepsTotal = 0
  #notices: readonly string[] = []
  #counts: BuildCounts = emptyCounts()
  #stepsDone = 0
  #situation: Situation = { paused: false, window: 0, waitingFor: null }
  #status: BuildStatus = 'running'
  #promoted = false
  #endedMs: number | null = null
  #revision = 0

  constructor(build: TrackedBuild) {
    this.#build = { ...build }
  }

  situated(situation: Partial<Situation>): void {
    this.#situation = { ...this.#situation, ...situation }
    this.#revision += 1
  }

  planned(plan: BuildPlan, steps: readonly BuildStep[]): void {
    this.#steps = steps
    this.#stepsTotal = steps.length
    this.#stepsDone = 0
    this.#notices = plan.notices
    this.#build.project = plan.project
    this.#build.environment = plan.environment
    this.#counts = { ...emptyCounts(), unchanged: plan.unchanged }
    for (const { model: name } of steps) {
      const tracked = this.#models.get(name)
      if (tracked !== undefined) tracked.steps += 1
      else {
        const fresh = { steps: 1, done: 0, warned: false, running: 0, startedMs: null, durationMs: 0, ended: null }
        this.#models.set(name, { name, ...fresh })
      }
    }
    this.#counts.pending = this.#models.size
    this.#revision += 1
  }

  /** What an earlier run knew, until the plan is read again. */
  handedOver({ counts, stepsDone, problems, slowest }: CarriedTracker, plan: BuildPlan): void {
    this.#counts = { ...counts }
    this.#stepsDone = stepsDone
    this.#stepsTotal = plan.stepCount
    this.#notices = plan.notices
    this.#problems = [...problems]
    this.#slowest.restore(slowest)
  }

  /** After the plan was read again. @param stateOf how the steps of the earlier runs have ended. */
  resumed({ warned }: CarriedTracker, stateOf: (step: number) => string): void {
    for (const step of warned) this.#warned.add(step)
    this.#steps.forEach((_, step) => {
      const state = stateOf(step)
      if (state === 'done') this.#done(step)
      if (state === 'failed') this.#end(this.#model(step), 'error')
      if (state === 'skipped') this.#end(this.#model(step), 'skipped')
    })
  }

  carried(): CarriedTracker {
    return {
      counts: this.#counts,
      stepsDone: this.#stepsDone,
      warned: [...this.#warned],
      problems: this.#problems,
      slowest: this.#slowest.list(),
    }
  }

  started(step: number): void {
    const model = this.#model(step)
    model.running += 1
    model.startedMs ??= Date.now()
    this.#running.add(model)
    this.#revision += 1
  }

  succeeded(step: number, { warnings, durationMs }: StepOutcome): void {
    this.#stop(step)
    if (warnings > 0) this.#warned.add(step)
    const model = this.#done(step)
    model.durationMs += durationMs
    if (model.done === model.steps) this.#slowest.add(model)
  }

  failed(step: number, error: { code: string; message: string }, skipped: readonly number[]): void {
    const model = this.#stop(step)
    if (this.#end(model, 'error')) {
      this.#problem({ name: model.name, status: 'error', reason: null, error: shorten(error) })
    }
    this.skipped(skipped, step)
  }

  skipped(steps: readonly number[], because: number): void {
    const { name, ended } = this.#model(because)
    this.#skip(steps, skippedBecause(name, ended === 'error' ? 'failed' : 'was skipped'))
  }

  /** @param ran it was interrupted. @param others what is skipped with it. */
  skippedByHand(step: number, ran: boolean, others: readonly number[]): void {
    if (ran) this.#stop(step)
    this.#skip([step], SKIPPED_BY_HAND)
    this.skipped(others, step)
    this.#revision += 1
  }

  canceled(step: number): void {
    this.#end(this.#stop(step), 'canceled')
  }

  /** Steps that had ended without success may be built after all. */
  reopened(steps: readonly number[]): void {
    const models = new Set(steps.map((step) => this.#model(step)))
    for (const model of models) {
      if (model.ended === null) continue
      this.#counts[model.ended] -= 1
      this.#counts.pending += 1
      model.ended = null
    }
    const names = new Set([...models].map(({ name }) => name))
    this.#problems = this.#problems.filter(({ name }) => !names.has(name))
    this.#revision += 1
  }

  /** @param finished what the state recorded; null when nothing was planned. */
  finished(status: Exclude<BuildStatus, 'running'>, finished: FinishedBuild | null): void {
    this.#status = status
    this.#endedMs = Date.now()
    this.#revision += 1
    if (finished === null) return
    this.#promoted = finished.promoted
    this.#counts = finished.counts
    this.#problems = [...finished.problems]
  }

  summary(): BuildSummary {
    const { project, environment, build, startedMs } = this.#build
    return {
      project,
      environment,
      ...build,
      startedAt: new Date(startedMs).toISOString(),
      status: this.#status,
      promoted: this.#promoted,
      endedAt: this.#endedMs === null ? null : new Date(this.#endedMs).toISOString(),
      durationMs: this.#endedMs === null ? null : this.#endedMs - startedMs,
      counts: { ...this.#counts },
      problems: [...this.#problems],
    }
  }

  progress(): BuildProgress {
    const { startedMs: buildStartedMs, schedule, runs } = this.#build
    return {
      ...this.summary(),
      stepsDone: this.#stepsDone,
      stepsTotal: this.#stepsTotal,
      running: [...this.#running].map(({ name, startedMs }) => ({
        name,
        startedAt: new Date(startedMs ?? buildStartedMs).toISOString(),
      })),
      revision: this.#revision,
      ...this.#situation,
      slowest: this.#slowest.list(),
      schedule,
      runs,
      notices: this.#notices,
    }
  }

  #done(step: number): TrackedModel {
    const model = this.#model(step)
    model.done += 1
    model.warned ||= this.#warned.has(step)
    this.#stepsDone += 1
    if (model.done === model.steps) this.#end(model, model.warned ? 'warn' : 'success')
    return model
  }

  #skip(steps: readonly number[], reason: string): void {
    for (const step of steps) {
      const model = this.#model(step)
      if (this.#end(model, 'skipped')) this.#problem({ name: model.name, status: 'skipped', reason, error: null })
    }
  }

  #stop(step: number): TrackedModel {
    const model = this.#model(step)
    model.running -= 1
    if (model.running === 0) this.#running.delete(model)
    this.#revision += 1
    return model
  }

  /** Counts a model once, by how it ended first. */
  #end(model: TrackedModel, status: ModelStatus): boolean {
    if (model.ended !== null) return false
    model.ended = status
    this.#counts.pending -= 1
    this.#counts[status] += 1
    return true
  }

  #problem(problem: ModelProblem): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(problem)
  }

  #model(step: number): TrackedModel {
    const model = this.#models.get(this.#steps[step]?.model ?? '')
    if (model === undefined) throw new Error(`no model of step ${step}`)
    return model
  }
}

/** A workflow's result stays small, whatever a database has to say. */
function shorten({ code, message }: { code: string; message: string }): { code: string; message: string } {
  return { code, message: message.length > 500 ? `${message.slice(0, 500)}…` : message }
}
