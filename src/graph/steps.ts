/** Planned models → the steps of a build and the order between them. Pure. */
import type { BuildStep } from '../payloads.ts'
import type { ModelGraph } from './model-graph.ts'
import type { Interval } from './intervals.ts'
import type { Coverage, PlannedModel, PlanNode } from './plan-context.ts'

/** A weight for what was never built: about what a small model takes, in ms. */
const UNKNOWN_WEIGHT = 100

export interface StepContext {
  graph: ModelGraph<PlanNode>
  /** Hash of each planned model's stored definition. */
  definitions: ReadonlyMap<string, string>
  /** What a step of the model took lately, in ms. */
  durations: ReadonlyMap<string, number>
  /** By version, as planned from. */
  coverage: ReadonlyMap<string, Coverage>
  /** What the project says of the model's steps, where it differs from the default. */
  settings: (model: string) => Pick<BuildStep, 'catalog' | 'timeoutMs' | 'attempts'>
}

/**
 * One step per batch, in topological order. A step waits for every batch of its nearest ancestors that have steps:
 * a view or an embedded model without one hands its parents' on.
 */
export function planSteps(models: readonly PlannedModel[], context: StepContext): BuildStep[] {
  const steps: BuildStep[] = []
  const ends = new Map<string, readonly number[]>()
  for (const model of models) {
    const before = [...new Set(context.graph.parents(model.name).flatMap((name) => ends.get(name) ?? []))].sort(
      (a, b) => a - b,
    )
    const own: number[] = []
    const again = model.restated?.replacedBy == null ? (model.restated?.intervals ?? []) : []
    for (const batch of model.batches) {
      const previous = batchesBefore(model, own)
      own.push(steps.length)
      steps.push({
        model: model.name,
        kind: model.kind,
        version: model.version,
        definition: context.definitions.get(model.name) ?? '',
        interval: batch === null ? null : [batch.start, batch.end],
        inputs: model.inputs,
        parents: [...before, ...previous],
        weight: context.durations.get(model.name) ?? UNKNOWN_WEIGHT,
        ...(restates(batch, again) ? { restates: true } : {}),
        ...(model.auditsOnly ? { auditsOnly: true } : {}),
        ...(isFresh(batch, context.coverage.get(model.version)) ? { fresh: true } : {}),
        ...context.settings(model.name),
      })
    }
    ends.set(model.name, own.length > 0 ? own : before)
  }
  return steps
}

/** The batches of its own model that a batch waits for. */
function batchesBefore({ concurrency, leads }: PlannedModel, own: readonly number[]): number[] {
  const previous = concurrency === null ? undefined : own[own.length - concurrency]
  const first = leads ? own[0] : undefined
  return [...new Set([first, previous].filter((index) => index !== undefined))]
}

/** Whether a batch builds anything again. */
function restates(batch: Interval | null, again: readonly Interval[]): boolean {
  if (batch === null) return again.length > 0
  return again.some(({ start, end }) => start === end || (start < batch.end && end > batch.start))
}

/** Kinds with one record for all they cover have one that overlaps, wherever it begins. */
function isFresh(batch: Interval | null, coverage: Coverage | undefined): boolean {
  if (coverage === undefined) return true
  return batch !== null && !coverage.intervals.some(({ start, end }) => start < batch.end && end > batch.start)
}
