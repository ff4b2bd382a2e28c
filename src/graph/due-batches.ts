/** Which intervals of a version are to be built now, in which steps. Pure. */
import { hasInterval } from '../project/model.ts'
import {
  batches,
  expandToUnits,
  hullOf,
  intersectIntervals,
  mergeIntervals,
  missingIntervals,
  subtractIntervals,
  unitsOf,
  type Interval,
  type IntervalRequest,
} from './intervals.ts'
import type { Coverage, PlanContext, PlanNode, Restated } from './plan-context.ts'

export interface DueVersion {
  version: string
  /** Content of the seeds that its rows come from. */
  inputs: string
  restated: Restated | null
  /** All of the history is built, whatever range was asked for. */
  wholeHistory: boolean
}

/** The steps a version lacks: one for each batch, null for one without an interval. */
export function dueBatches(node: PlanNode, due: DueVersion, context: PlanContext): (Interval | null)[] {
  const { version, inputs, restated } = due
  const coverage = context.coverage.get(version)
  if (node.kind.name === 'SEED') return coverage?.inputs === inputs ? [] : [null]
  const again = restated?.replacedBy == null ? (restated?.intervals ?? []) : []
  const { model, request } = askFor(node, due, context)
  const recorded = subtractIntervals(coverage?.intervals ?? [], hasInterval(node.kind) ? again : [])
  const missing = missingIntervals({ ...model, kind: node.kind.name }, request, recorded)
  // Nothing is due yet, but the table must be there when its view is.
  if (missing.length === 0 && coverage === undefined) return [null]
  if (!hasInterval(node.kind)) return wholeStep({ missing, again, inputs, coverage })
  const wanted = restated?.asked == null ? inRange(again, node, context) : again
  return batches(mergeUnits(missing, wanted, node), node.kind.batch_size ?? null)
}

/** A full-history kind is rebuilt as a whole, once, however many units are missing. */
function wholeStep(whole: {
  missing: readonly Interval[]
  again: readonly Interval[]
  inputs: string
  coverage: Coverage | undefined
}): (Interval | null)[] {
  const { missing, again, inputs, coverage } = whole
  const reseeded = coverage !== undefined && coverage.inputs !== inputs
  if (missing.length === 0 && again.length === 0 && !reseeded) return []
  return [hullOf([...(coverage?.intervals ?? []), ...missing])]
}

/** What is missing is looked for in the range that was asked for; of a history that is built again, in all of it. */
function askFor(
  node: PlanNode,
  { restated, wholeHistory }: DueVersion,
  context: PlanContext,
): { model: PlanNode; request: IntervalRequest } {
  const { range } = context
  const last = node.end ?? Infinity
  if (!wholeHistory) {
    const start = range.start ?? node.start ?? range.now
    // Clipped, so that a model whose end has passed is finished, its lookback too.
    return { model: node, request: { start, end: Math.min(range.end, last), now: range.now } }
  }
  const start = Math.min(firstRecorded(node, restated, context), node.start ?? range.now)
  const end = context.refresh === null ? range.now : range.end
  return { model: { ...node, start }, request: { start, end: Math.min(end, last), now: range.now } }
}

/** Of a model whose start moves along with the time, what was built before is history, too. */
function firstRecorded(node: PlanNode, restated: Restated | null, context: PlanContext): number {
  if (!node.startIsInferred) return Infinity
  const before = restated?.version ?? context.environment.get(node.name)?.version ?? ''
  return context.coverage.get(before)?.intervals[0]?.start ?? Infinity
}

/** What an earlier build was asked to restate, as far as this one is asked for it. */
function inRange(again: readonly Interval[], node: PlanNode, { range }: PlanContext): Interval[] {
  const asked = expandToUnits({ start: range.start ?? 0, end: range.end }, node.interval_unit)
  return intersectIntervals(again, range.start === null ? { ...asked, start: -Infinity } : asked)
}

/** Sorted, each unit once; one that is missing in part is built as far as it is missing. */
function mergeUnits(missing: readonly Interval[], again: readonly Interval[], node: PlanNode): Interval[] {
  const units = new Map(
    mergeIntervals(again)
      .flatMap((interval) => unitsOf(interval, node.interval_unit))
      .map((unit) => [unit.start, unit]),
  )
  for (const unit of missing) units.set(unit.start, unit)
  return [...units.values()].sort((a, b) => a.start - b.start)
}
