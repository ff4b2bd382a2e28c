/**
 * Half-open ranges of time in UTC, cut into a model's interval units: what is recorded, what is missing, and in which
 * batches to build it. Pure.
 */
import type { IntervalUnit, KindName } from '../project/model.ts'
import { createCron } from './cron.ts'
import { addMonths, UNIT_MS } from './time.ts'

/** From `start` up to, not including, `end`; epoch milliseconds. */
export interface Interval {
  start: number
  end: number
}

/** What a model says about when and how far it is due. */
export interface IntervalModel {
  kind: KindName
  cron: string
  cron_tz: string | null
  interval_unit: IntervalUnit
  /** Epoch milliseconds; null for no bound. */
  start: number | null
  /** Epoch milliseconds, exclusive; null for no bound. */
  end: number | null
  /** How many units before a missing one are built again. */
  lookback: number
  allow_partials: boolean
}

export interface IntervalRequest {
  start: number
  /** Exclusive. */
  end: number
  now: number
  /** Take what is complete now, not what was complete at the last tick of the cron. Default false. */
  ignoreCron?: boolean
  /**
   * The end was given as a date, not as a timestamp. A range that ends in a timestamp and is shorter than one unit asks
   * for nothing; one that ends in a date asks for the units it touches. Default: whether the end is a midnight.
   */
  endIsDate?: boolean
}

/** The start of the unit an instant lies in. */
export function floorUnit(ms: number, unit: IntervalUnit): number {
  const step = calendarMonths(unit)
  if (step === null) return Math.floor(ms / UNIT_MS[unit]) * UNIT_MS[unit]
  const date = new Date(floorUnit(ms, 'day'))
  date.setUTCMonth(step === 12 ? 0 : date.getUTCMonth(), 1)
  return date.getTime()
}

/** The first start of a unit after an instant. */
export function nextUnit(ms: number, unit: IntervalUnit): number {
  const floor = floorUnit(ms, unit)
  const step = calendarMonths(unit)
  return step === null ? floor + UNIT_MS[unit] : addMonths(floor, step)
}

/** An interval cut at the starts of units. A first or last piece that is shorter than its unit stays so. */
export function unitsOf(interval: Interval, unit: IntervalUnit): Interval[] {
  const bounds = unitBounds(interval, unit)
  return bounds.slice(0, -1).map((start, index) => ({ start, end: bounds[index + 1] ?? interval.end }))
}

/** The same time as sorted intervals that neither overlap nor touch; empty ones are dropped. */
export function mergeIntervals(intervals: readonly Interval[]): Interval[] {
  const sorted = intervals.filter(({ start, end }) => start < end).sort((a, b) => a.start - b.start)
  const merged: Interval[] = []
  for (const { start, end } of sorted) {
    const last = merged.at(-1)
    if (last !== undefined && start <= last.end) last.end = Math.max(last.end, end)
    else merged.push({ start, end })
  }
  return merged
}

/** The time of `intervals` that is not in `removed`; sorted and merged. */
export function subtractIntervals(intervals: readonly Interval[], removed: readonly Interval[]): Interval[] {
  const holes = mergeIntervals(removed)
  const left: Interval[] = []
  let next = 0
  for (const { start, end } of mergeIntervals(intervals)) {
    let from = start
    while ((holes[next]?.end ?? Infinity) <= from) next++
    for (let index = next; from < end; index++) {
      const hole = holes[index]
      const to = Math.min(end, hole?.start ?? Infinity)
      if (from < to) left.push({ start: from, end: to })
      from = hole === undefined || hole.start >= end ? end : hole.end
    }
  }
  return left
}

/** The time that `intervals` and a range have in common; sorted and merged. The range may be open at its ends (±Infinity). */
export function intersectIntervals(intervals: readonly Interval[], range: Interval): Interval[] {
  const clipped = intervals.map(({ start, end }) => ({
    start: Math.max(start, range.start),
    end: Math.min(end, range.end),
  }))
  return mergeIntervals(clipped)
}

/** From the earliest start to the latest end; null of nothing. */
export function hullOf(intervals: readonly Interval[]): Interval | null {
  if (intervals.length === 0) return null
  return {
    start: intervals.reduce((start, interval) => Math.min(start, interval.start), Infinity),
    end: intervals.reduce((end, interval) => Math.max(end, interval.end), -Infinity),
  }
}

/** The start of the unit that begins `count` units before the one an instant lies in. */
export function unitsBefore(ms: number, unit: IntervalUnit, count: number): number {
  const floor = floorUnit(ms, unit)
  const step = calendarMonths(unit)
  return step === null ? floor - count * UNIT_MS[unit] : addMonths(floor, -step * count)
}

/**
 * What may be recorded of an interval that was built: its whole units, null when it has none. With partial intervals
 * allowed the end stays, and the start moves back to the start of its unit.
 */
export function shrinkToUnits(interval: Interval, unit: IntervalUnit, allowPartials = false): Interval | null {
  const start = allowPartials ? floorUnit(interval.start, unit) : ceilUnit(interval.start, unit)
  const end = allowPartials ? interval.end : floorUnit(interval.end, unit)
  return start < end ? { start, end } : null
}

/** What is built when an interval is asked for: all units it touches. With partial intervals allowed the end stays. */
export function expandToUnits(interval: Interval, unit: IntervalUnit, allowPartials = false): Interval {
  return {
    start: floorUnit(interval.start, unit),
    end: allowPartials ? interval.end : ceilUnit(interval.end, unit),
  }
}

/**
 * The units of a model that a request covers, that are due, and that are not recorded: one interval each, sorted.
 * If any is missing, so are the `lookback` units before it and the last `lookback` units of the range.
 * An EMBEDDED or EXTERNAL model misses nothing, a SEED nothing once anything is recorded.
 */
export function missingIntervals(
  model: IntervalModel,
  request: IntervalRequest,
  recorded: readonly Interval[],
): Interval[] {
  if (model.kind === 'EMBEDDED' || model.kind === 'EXTERNAL') return []
  if (model.kind === 'SEED' && recorded.length > 0) return []
  const range = dueRange(model, request)
  if (range === null) return []

  const bounds = unitBounds(range, model.interval_unit)
  const missing = findUncovered(bounds, mergeIntervals(recorded))
  if (!missing.includes(true)) return []

  const lookback = effectiveLookback(model, range.end)
  const end = model.end ?? Infinity
  const due: Interval[] = []
  for (let index = 0; index < missing.length; index++) {
    const [start = end, unitEnd = range.end] = [bounds[index], bounds[index + 1]]
    const wanted = missing[index] === true || (lookback > 0 && (missing[index + lookback] ?? true))
    if (wanted && start < end) due.push({ start, end: unitEnd })
  }
  return due
}

/**
 * Sorted units joined into the intervals to build one at a time: neighbours share a batch, up to `batchSize` units
 * (at least 1; null: no limit); a gap always starts a new one.
 */
export function batches(missing: readonly Interval[], batchSize: number | null): Interval[] {
  const joined: Interval[] = []
  let units = 0
  for (const { start, end } of missing) {
    const last = joined.at(-1)
    if (last !== undefined && last.end === start && units < (batchSize ?? Infinity)) {
      last.end = end
      units++
    } else {
      joined.push({ start, end })
      units = 1
    }
  }
  return joined
}

/** Null for units of a fixed length. */
function calendarMonths(unit: IntervalUnit): number | null {
  if (unit === 'year') return 12
  return unit === 'month' ? 1 : null
}

function ceilUnit(ms: number, unit: IntervalUnit): number {
  return floorUnit(ms, unit) === ms ? ms : nextUnit(ms, unit)
}

/** The start of the last unit that ends at or before an end that may be in mid-unit; a fixed length before it otherwise. */
function unitBefore(end: number, unit: IntervalUnit): number {
  return calendarMonths(unit) === null ? end - UNIT_MS[unit] : floorUnit(end - 1, unit)
}

/** The interval's start, every start of a unit inside it, its end. Numbers only: there may be hundreds of thousands. */
function unitBounds({ start, end }: Interval, unit: IntervalUnit): number[] {
  if (start >= end) return []
  const bounds = [start]
  for (let bound = nextUnit(start, unit); bound < end; bound = nextUnit(bound, unit)) bounds.push(bound)
  bounds.push(end)
  return bounds
}

/** The part of a request that is in the model's range and complete, in whole units unless partial ones are allowed. */
function dueRange(model: IntervalModel, request: IntervalRequest): Interval | null {
  const unit = model.interval_unit
  const start = Math.max(request.start, model.start ?? -Infinity)
  if (start >= request.end || start >= (model.end ?? Infinity)) return null

  const endIsDate = request.endIsDate ?? floorUnit(request.end, 'day') === request.end
  if (!endIsDate && !model.allow_partials && request.end - start < UNIT_MS[unit]) return null

  const due = request.ignoreCron === true ? request.now : createCron(model.cron, model.cron_tz).previous(request.now)
  const complete = model.allow_partials ? due : floorUnit(due, unit)
  const asked = expandToUnits({ start, end: request.end }, unit, model.allow_partials)
  const range = { start: asked.start, end: Math.min(asked.end, complete) }
  return range.start < range.end ? range : null
}

/** For each unit, whether no recorded interval holds all of it. `recorded` is sorted and merged. */
function findUncovered(bounds: readonly number[], recorded: readonly Interval[]): boolean[] {
  const missing: boolean[] = []
  let next = 0
  for (let index = 0; index + 1 < bounds.length; index++) {
    const [start = 0, end = 0] = [bounds[index], bounds[index + 1]]
    while ((recorded[next]?.end ?? Infinity) < end) next++
    missing.push(start < (recorded[next]?.start ?? Infinity))
  }
  return missing
}

/** A range that goes on after the model's end uses up the lookback: it counts from the range's end, not the model's. */
function effectiveLookback(model: IntervalModel, rangeEnd: number): number {
  if (model.end === null) return model.lookback
  let lookback = model.lookback
  let unitStart = unitBefore(rangeEnd, model.interval_unit)
  while (lookback > 0 && model.end < unitStart) {
    unitStart = unitBefore(unitStart, model.interval_unit)
    lookback--
  }
  return lookback
}
