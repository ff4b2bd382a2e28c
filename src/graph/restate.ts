/**
 * What is built again although it is built: because somebody asks for it, because a model's cron says so, or because an earlier
 * build was asked and did not succeed. It reaches all that read the model. Pure.
 */
import { restatesWhole } from '../project/model.ts'
import { createCron } from './cron.ts'
import {
  expandToUnits,
  floorUnit,
  hullOf,
  intersectIntervals,
  mergeIntervals,
  unitsBefore,
  type Interval,
} from './intervals.ts'
import type { PlanContext, PlannedModel, PlanNode, Restated } from './plan-context.ts'

/** Why a model cannot be restated; null when it can be. */
export function restatementRefusal({ kind }: Pick<PlanNode, 'kind'>): string | null {
  if (kind.name === 'SEED') return 'a seed is loaded again when its file changes'
  if (kind.name === 'EXTERNAL') return 'an external table is built by others'
  return kind.disable_restatement === true ? 'it has disable_restatement' : null
}

/** The time for which a model is to be built again, and why; null when nothing says so. */
export interface Ask {
  range: Interval
  reason: string
}

/**
 * What of a version is to be built again.
 * @param ask what {@link askOf} says.
 * @returns null when nothing is, now or from before.
 */
export function restate(node: PlanNode, version: string, ask: Ask | null, context: PlanContext): Restated | null {
  if (restatementRefusal(node) !== null) return null
  const pending = context.pending.get(version)
  if (ask === null && pending === undefined) return null
  const recorded = context.coverage.get(version)?.intervals ?? []
  const asked = ask === null ? null : widen(node, ask.range, recorded)
  const found = asked === null ? [] : recordedWithin(node, asked, recorded)
  const known = context.coverage.has(version)
  const intervals = mergeIntervals([...found, ...(pending?.intervals ?? [])])
  return {
    asked,
    version,
    // What is recorded without any time is built again, too.
    intervals: intervals.length === 0 && known && !isTimeRange(node) ? [NO_TIME] : intervals,
    replacedBy: null,
  }
}

/** Its own wish, its cron's, and those of the models that it reads. */
export function askOf(
  node: PlanNode,
  version: string,
  planned: ReadonlyMap<string, PlannedModel>,
  context: PlanContext,
): Ask | null {
  const { start, end } = context.range
  const own = context.restate?.has(node.name) === true ? { start: start ?? -Infinity, end } : null
  const auto = autoRange(node, version, context)
  const parents = context.graph.dataParents(node.name).flatMap((name) => {
    const range = planned.get(name)?.restated?.asked ?? null
    return range === null ? [] : [{ name, range }]
  })
  const range = hullOf([own, auto, ...parents.map((parent) => parent.range)].filter((asked) => asked !== null))
  if (range === null) return null
  if (own !== null) return { range, reason: 'restated' }
  if (auto !== null) return { range, reason: 'restated by its auto_restatement_cron' }
  return { range, reason: `${parents.map(({ name }) => name).join(', ')} restated` }
}

/** Whether the state must remember when its `auto_restatement_cron` was heeded, or began to be. */
export function startsAutoRestatement(node: PlanNode, version: string, context: PlanContext): boolean {
  if (node.kind.auto_restatement_cron === undefined || node.kind.disable_restatement === true) return false
  return !context.autoRestated.has(version) || isTicked(node, version, context)
}

/** Stands for what is recorded without a range of time. */
const NO_TIME: Interval = { start: 0, end: 0 }

/** What is cut at the batches that build it, so that each of them knows its own part; and what none of them builds. */
export function cutAtBatches(intervals: readonly Interval[], batches: readonly (Interval | null)[]): Interval[] {
  const timed = batches.filter((batch) => batch !== null)
  const inside = timed.flatMap((batch) => intersectIntervals(intervals, batch))
  const whole = intervals.filter(({ start, end }) => start === end)
  const outside = mergeIntervals(intervals).flatMap((interval) => subtractSorted(interval, timed))
  return [...whole, ...inside, ...outside].sort((a, b) => a.start - b.start)
}

function subtractSorted({ start, end }: Interval, holes: readonly Interval[]): Interval[] {
  const left: Interval[] = []
  let from = start
  for (const hole of holes) {
    if (hole.end <= from || hole.start >= end) continue
    if (from < hole.start) left.push({ start: from, end: hole.start })
    from = hole.end
  }
  if (from < end) left.push({ start: from, end })
  return left
}

/** Rows that came about one after the other are made anew from the first asked for on; where none stands alone, all of them. */
function widen(node: PlanNode, asked: Interval, recorded: readonly Interval[]): Interval {
  if (restatesWhole(node.kind)) return { start: Math.min(asked.start, recorded[0]?.start ?? Infinity), end: Infinity }
  return node.self_referencing && isTimeRange(node) ? { start: asked.start, end: Infinity } : asked
}

/** Whole units of what is recorded; of kinds that have no parts everything. */
function recordedWithin(node: PlanNode, asked: Interval, recorded: readonly Interval[]): Interval[] {
  if (!isTimeRange(node)) return [...recorded]
  return recorded.flatMap((interval) =>
    intersectIntervals([interval], asked).flatMap((part) =>
      intersectIntervals([expandToUnits(part, node.interval_unit, node.allow_partials)], interval),
    ),
  )
}

function isTimeRange({ kind }: PlanNode): boolean {
  return kind.name === 'INCREMENTAL_BY_TIME_RANGE'
}

/** The last units before now, or everything where the model names no number of them. */
function autoRange(node: PlanNode, version: string, context: PlanContext): Interval | null {
  const recorded = hullOf(context.coverage.get(version)?.intervals ?? [])
  if (recorded === null || node.kind.disable_restatement === true || !isTicked(node, version, context)) return null
  const count = node.kind.auto_restatement_intervals ?? null
  const { now } = context.range
  if (count === null) return recorded
  return { start: unitsBefore(now, node.interval_unit, count), end: floorUnit(now, node.interval_unit) }
}

/** The cron has ticked since it was heeded. */
function isTicked({ kind }: PlanNode, version: string, { autoRestated, range }: PlanContext): boolean {
  const heeded = autoRestated.get(version)
  if (kind.auto_restatement_cron === undefined || heeded === undefined) return false
  return createCron(kind.auto_restatement_cron, null).previous(range.now) > heeded
}
