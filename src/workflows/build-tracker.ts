/** Counts models while their steps run: what the query and the details show. Deterministic. */
import {
  emptyCounts,
  type BuildCounts,
  type BuildInput,
  type BuildPlan,
  type BuildProgress,
  type BuildStatus,
  type BuildSummary,
  type ModelProblem,
  type StepOutcome,
} from '../payloads.ts'
import type { FinishedBuild } from '../activities/finish-build.ts'

const MAX_PROBLEMS = 100

interface TrackedModel {
  steps: number
  done: number
  warned: boolean
  running: number
  /** Epoch ms of its first step's start. */
  startedMs: number | null
  ended: boolean
}

export class BuildTracker {
  readonly #head: Pick<BuildSummary, 'project' | 'environment' | 'workflowId' | 'runId' | 'startedAt'>
  readonly #startedMs: number
  readonly #models = new Map<string, TrackedModel>()
  /** Those with a running step, in the order they started: kept apart, since the details are written at every change. */
  readonly #running = new Map<string, TrackedModel>()
  readonly #problems: ModelProblem[] = []
  #plan: BuildPlan | null = null
  #counts: BuildCounts = emptyCounts()
  #stepsDone = 0
  #status: BuildStatus = 'running'
  #promoted = false
  #endedMs: number | null = null
  #revision = 0

  constructor(input: BuildInput, build: { workflowId: string; runId: string; startedMs: number }) {
    const { workflowId, runId, startedMs } = build
    this.#startedMs = startedMs
    this.#head = {
      project: input.project ?? '',
      environment: input.environment ?? 'prod',
      workflowId,
      runId,
      startedAt: new Date(startedMs).toISOString(),
    }
  }

  planned(plan: BuildPlan): void {
    this.#plan = plan
    this.#head.project = plan.project
    this.#head.environment = plan.environment
    this.#counts.unchanged = plan.unchanged
    for (const { model } of plan.steps) {
      const tracked = this.#models.get(model)
      if (tracked !== undefined) tracked.steps += 1
      else this.#models.set(model, { steps: 1, done: 0, warned: false, running: 0, startedMs: null, ended: false })
    }
    this.#counts.pending = this.#models.size
    this.#revision += 1
  }

  started(index: number): void {
    const model = this.#model(index)
    model.running += 1
    model.startedMs ??= Date.now()
    this.#running.set(this.#name(index), model)
    this.#revision += 1
  }

  succeeded(index: number, outcome: StepOutcome): void {
    const model = this.#stop(index)
    model.done += 1
    this.#stepsDone += 1
    model.warned ||= outcome.warnings > 0
    if (model.done === model.steps) this.#end(model, model.warned ? 'warn' : 'success')
  }

  failed(index: number, error: { code: string; message: string }, skipped: readonly number[]): void {
    const model = this.#stop(index)
    const name = this.#name(index)
    if (this.#end(model, 'error')) this.#problem({ name, status: 'error', reason: null, error: shorten(error) })
    this.skipped(skipped, index)
  }

  skipped(steps: readonly number[], because: number): void {
    for (const step of steps) {
      const reason = `skipped because '${this.#name(because)}' failed`
      if (this.#end(this.#model(step), 'skipped')) {
        this.#problem({ name: this.#name(step), status: 'skipped', reason, error: null })
      }
    }
  }

  canceled(index: number): void {
    this.#end(this.#stop(index), 'canceled')
  }

  /** @param finished what the state recorded; null when nothing was planned. */
  finished(status: Exclude<BuildStatus, 'running'>, finished: FinishedBuild | null): void {
    this.#status = status
    this.#endedMs = Date.now()
    this.#revision += 1
    if (finished === null) return
    this.#promoted = finished.promoted
    this.#counts = finished.counts
    this.#problems.splice(0, this.#problems.length, ...finished.problems)
  }

  summary(): BuildSummary {
    return {
      ...this.#head,
      status: this.#status,
      promoted: this.#promoted,
      endedAt: this.#endedMs === null ? null : new Date(this.#endedMs).toISOString(),
      durationMs: this.#endedMs === null ? null : this.#endedMs - this.#startedMs,
      counts: { ...this.#counts },
      problems: [...this.#problems],
    }
  }

  progress(): BuildProgress {
    return {
      ...this.summary(),
      stepsDone: this.#stepsDone,
      stepsTotal: this.#plan?.steps.length ?? 0,
      running: [...this.#running].map(([name, { startedMs }]) => ({
        name,
        startedAt: new Date(startedMs ?? this.#startedMs).toISOString(),
      })),
      revision: this.#revision,
      notices: this.#plan?.notices ?? [],
    }
  }

  #stop(index: number): TrackedModel {
    const model = this.#model(index)
    model.running -= 1
    if (model.running === 0) this.#running.delete(this.#name(index))
    this.#revision += 1
    return model
  }

  /** Counts a model once, by how it ended first. */
  #end(model: TrackedModel, status: keyof BuildCounts): boolean {
    if (model.ended) return false
    model.ended = true
    this.#counts.pending -= 1
    this.#counts[status] += 1
    return true
  }

  #problem(problem: ModelProblem): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push(problem)
  }

  #name(index: number): string {
    return this.#plan?.steps[index]?.model ?? String(index)
  }

  #model(index: number): TrackedModel {
    const model = this.#models.get(this.#name(index))
    if (model === undefined) throw new Error(`no model of step ${index}`)
    return model
  }
}

/** A workflow's result stays small, whatever a database has to say. */
function shorten({ code, message }: { code: string; message: string }): { code: string; message: string } {
  return { code, message: message.length > 500 ? `${message.slice(0, 500)}…` : message }
}
