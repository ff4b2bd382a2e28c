/** Plans without a database: models in, a plan out, and what a build of it would leave in the state. */
import { createModelGraph } from '../../src/graph/model-graph.ts'
import type {
  Coverage,
  EnvironmentEntry,
  KnownVersion,
  PendingRestatement,
  PlanContext,
  PlannedModel,
  PlanNode,
} from '../../src/graph/plan-context.ts'
import { planBuild, type Plan } from '../../src/graph/plan.ts'
import { mergeIntervals, subtractIntervals } from '../../src/graph/intervals.ts'
import type { KindName, ModelKind } from '../../src/project/model.ts'
import { sha256 } from '../../src/project/fingerprint.ts'

export interface TestModel {
  kind?: KindName
  reads?: string[]
  /** By its audits. */
  audits?: string[]
  /** What decides its rows. */
  data?: string
  metadata?: string
  /** Of a seed's file. */
  content?: string
  /** Options of the kind. */
  options?: Omit<ModelKind, 'name'>
  batchSize?: number
  lookback?: number
  /** Dates. */
  start?: string
  end?: string
  /** `start` is what planning has found for it. */
  startIsInferred?: boolean
  readsItself?: boolean
  allowPartials?: boolean
}

export interface PlanRequest {
  select?: string[]
  /** Date; default 2024-01-04. */
  now?: string
  start?: string
  end?: string
  refresh?: string
  /** Models to build again. */
  restate?: string[]
  /** Of the build. */
  run?: string
  format?: number
}

export const day = (date: string): number => Date.parse(date)

/** What is known after some builds. */
export class TestState {
  environment = new Map<string, EnvironmentEntry>()
  readonly versions = new Map<string, KnownVersion[]>()
  readonly coverage = new Map<string, Coverage>()
  readonly pending = new Map<string, PendingRestatement>()
  readonly autoRestated = new Map<string, number>()

  plan(models: Record<string, TestModel>, request: PlanRequest = {}): Plan {
    return planBuild(this.context(models, request))
  }

  context(models: Record<string, TestModel>, request: PlanRequest = {}): PlanContext {
    const graph = createModelGraph(Object.entries(models).map(([name, model]) => toNode(name, model)))
    const now = day(request.now ?? '2024-01-04')
    return {
      graph,
      selected: new Set(request.select ?? graph.names),
      selective: request.select !== undefined,
      environment: this.environment,
      versions: this.versions,
      coverage: this.coverage,
      range: {
        start: request.start === undefined ? null : day(request.start),
        end: request.end === undefined ? now : day(request.end),
        now,
      },
      refresh: request.refresh ?? null,
      restate: request.restate === undefined ? null : new Set(request.restate),
      restatement: request.run ?? 'run',
      pending: this.pending,
      autoRestated: this.autoRestated,
      project: 'test',
      format: request.format ?? 1,
      hash: sha256,
    }
  }

  /** Builds what is planned: all of it and promoted, or only the models named, as a build that failed leaves it. */
  build(models: Record<string, TestModel>, request: PlanRequest & { only?: string[] } = {}): Plan {
    const plan = this.plan(models, request)
    for (const model of plan.models) this.#remember(model, day(request.now ?? '2024-01-04'), request.format ?? 1)
    for (const model of plan.models) {
      if (!model.selected) continue
      if (model.isNew) this.#addVersion(model, request.format ?? 1)
      if (request.only?.includes(model.name) ?? true) this.#record(model)
    }
    if (request.only === undefined) this.environment = new Map(plan.target.map((entry) => [entry.model, entry]))
    return plan
  }

  /** What planning leaves in the state. */
  #remember(
    { name, version, fingerprint, adopts, restated, startsAutoRestatement }: PlannedModel,
    now: number,
    format: number,
  ): void {
    if (restated !== null)
      this.pending.set(restated.version, { intervals: restated.intervals, replacedBy: restated.replacedBy })
    if (startsAutoRestatement) this.autoRestated.set(version, now)
    const known = this.versions.get(name) ?? []
    if (adopts)
      this.versions.set(
        name,
        known.map((one) => (one.version === version ? { ...one, fingerprint, format } : one)),
      )
  }

  #addVersion({ name, kind, version, fingerprint }: PlannedModel, format: number): void {
    const known = this.versions.get(name) ?? []
    this.versions.set(name, [{ version, model: name, kind, fingerprint, format }, ...known])
  }

  #record({ version, batches, intervals, inputs }: PlannedModel): void {
    if (batches.length === 0) return
    const before = this.coverage.get(version)?.intervals ?? []
    this.coverage.set(version, { intervals: mergeIntervals([...before, ...intervals]), inputs })
    const pending = this.pending.get(version)
    if (pending === undefined) return
    const left = subtractIntervals(pending.intervals, intervals)
    if (left.length === 0) this.pending.delete(version)
    else this.pending.set(version, { ...pending, intervals: left })
  }
}

/** By name, of the models a plan holds. */
export function find(plan: Plan, name: string): PlannedModel {
  const model = plan.models.find((candidate) => candidate.name === name)
  if (model === undefined) throw new Error(`no model '${name}' in the plan`)
  return model
}

/** `category: reason` of each model that has one of them. */
export function changes(plan: Plan): Record<string, string> {
  return Object.fromEntries(
    plan.models
      .filter(({ category, reason }) => category !== null || reason !== null)
      .map(({ name, category, reason }) => [name, `${category ?? 'none'}: ${reason ?? 'none'}`]),
  )
}

/** Names of the models with steps. */
export function due(plan: Plan): string[] {
  return plan.models.filter(({ batches }) => batches.length > 0).map(({ name }) => name)
}

/** Batches as `from to` in dates, `whole` for one without an interval. */
export function ranges(plan: Plan, name: string): string[] {
  return find(plan, name).batches.map((batch) =>
    batch === null ? 'whole' : [batch.start, batch.end].map((ms) => new Date(ms).toISOString().slice(0, 10)).join(' '),
  )
}

function toNode(name: string, model: TestModel): PlanNode {
  const { kind = 'FULL', reads = [], audits = [], data = '1', metadata = '', batchSize } = model
  return {
    name,
    kind: { name: kind, ...model.options, ...(batchSize === undefined ? {} : { batch_size: batchSize }) },
    tags: [],
    file: `models/${name}.sql`,
    depends_on: reads,
    audit_depends_on: audits,
    audited: audits.length > 0,
    cron: '@daily',
    cron_tz: null,
    interval_unit: 'day',
    start: day(model.start ?? '2024-01-01'),
    startIsInferred: model.startIsInferred ?? false,
    end: model.end === undefined ? null : day(model.end),
    lookback: model.lookback ?? 0,
    allow_partials: model.allowPartials ?? false,
    // Each format sees the same data differently, as a new way of hashing does.
    dataHash: (format) => `format ${format}: ${kind} ${data}`,
    metadataHash: metadata,
    content: kind === 'SEED' ? (model.content ?? 'rows') : null,
    self_referencing: model.readsItself ?? false,
  }
}
