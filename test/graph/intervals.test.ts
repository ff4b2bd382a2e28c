import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Interval, IntervalModel, IntervalRequest } from '../../src/graph/intervals.ts'
import {
  batches,
  expandToUnits,
  floorUnit,
  intersectIntervals,
  mergeIntervals,
  missingIntervals,
  nextUnit,
  shrinkToUnits,
  subtractIntervals,
  unitsBefore,
  unitsOf,
} from '../../src/graph/intervals.ts'
import { cutAtBatches } from '../../src/graph/restate.ts'
import { isDate, parseTime, toTs } from '../../src/graph/time.ts'
import { INTERVAL_UNITS } from '../../src/project/model.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

function at(text: string): number {
  return parseTime(text, 'start', 0)
}

function interval(start: string, end: string): Interval {
  return { start: at(start), end: parseTime(end, 'end', 0) }
}

function model(over: Partial<IntervalModel> = {}): IntervalModel {
  return {
    kind: 'INCREMENTAL_BY_TIME_RANGE',
    cron: '@daily',
    cron_tz: null,
    interval_unit: 'day',
    start: null,
    end: null,
    lookback: 0,
    allow_partials: false,
    ...over,
  }
}

function request(start: string, end: string, now: string, over: Partial<IntervalRequest> = {}): IntervalRequest {
  return { ...interval(start, end), now: at(now), endIsDate: isDate(end), ...over }
}

/** Starts only, e.g. `01-08`, or with hours where a unit is shorter than a day. */
function starts(found: readonly Interval[]): string[] {
  return found.map(({ start }) => toTs(start).slice(5, 16).replace(' 00:00', ''))
}

const unit = fc.constantFrom(...INTERVAL_UNITS)
const instant = fc.integer({ min: Date.UTC(1960, 0), max: Date.UTC(2100, 0) })
/** Short ranges over few distinct instants, so that they overlap, touch and repeat. */
const someIntervals = fc.array(
  fc
    .record({ start: fc.integer({ min: 0, max: 40 }), length: fc.integer({ min: 0, max: 8 }) })
    .map(({ start, length }) => ({ start, end: start + length })),
  { maxLength: 12 },
)

function instantsOf(intervals: readonly Interval[]): Set<number> {
  const found = new Set<number>()
  for (const { start, end } of intervals) for (let ms = start; ms < end; ms++) found.add(ms)
  return found
}

describe('units', () => {
  test('an instant lies between the start of its unit and the next', () => {
    fc.assert(
      fc.property(instant, unit, (ms, unit) => {
        const [floor, next] = [floorUnit(ms, unit), nextUnit(ms, unit)]
        expect(floor <= ms && ms < next).toBe(true)
        expect(floorUnit(floor, unit)).toBe(floor)
        expect(floorUnit(next, unit)).toBe(next)
        expect(floorUnit(next - 1, unit)).toBe(floor)
        expect(nextUnit(floor, unit)).toBe(next)
      }),
    )
  })

  test('months and years keep to the calendar', () => {
    expect(toTs(floorUnit(at('2024-03-31 14:00'), 'month'))).toBe('2024-03-01 00:00:00')
    expect(toTs(nextUnit(at('2024-01-31 14:00'), 'month'))).toBe('2024-02-01 00:00:00')
    expect(toTs(nextUnit(at('2023-12-01'), 'month'))).toBe('2024-01-01 00:00:00')
    expect(toTs(floorUnit(at('2024-12-31'), 'year'))).toBe('2024-01-01 00:00:00')
    expect(toTs(nextUnit(at('2024-12-31'), 'year'))).toBe('2025-01-01 00:00:00')
  })

  test('an interval is cut at the starts of units, partial ends staying partial', () => {
    expect(
      unitsOf(interval('2024-01-01 22:30', '2024-01-02 01:15'), 'hour').map(({ end }) => toTs(end).slice(11, 16)),
    ).toEqual(['23:00', '00:00', '01:00', '01:15'])
    expect(unitsOf({ start: 5, end: 5 }, 'day')).toEqual([])
    fc.assert(
      fc.property(
        instant,
        fc.integer({ min: 1, max: 200 * HOUR }),
        fc.constantFrom('day', 'hour', 'month'),
        (start, length, unit) => {
          const whole = { start, end: start + length }
          expect(mergeIntervals(unitsOf(whole, unit))).toEqual([whole])
          for (const piece of unitsOf(whole, unit))
            expect(nextUnit(piece.start, unit)).toBeGreaterThanOrEqual(piece.end)
        },
      ),
    )
  })

  test('recording shrinks to whole units', () => {
    expect(shrinkToUnits(interval('2024-01-01 12:00', '2024-01-04 12:00'), 'day')).toEqual(
      interval('2024-01-02', '2024-01-03'),
    )
    expect(shrinkToUnits(interval('2024-01-01 12:00', '2024-01-02 12:00'), 'day')).toBeNull()
    expect(shrinkToUnits(interval('2024-01-01 12:00', '2024-01-02 12:00'), 'day', true)).toEqual(
      interval('2024-01-01', '2024-01-02 12:00'),
    )
  })

  test('asking expands to whole units', () => {
    expect(expandToUnits(interval('2024-01-01 12:00', '2024-01-02 12:00'), 'day')).toEqual(
      interval('2024-01-01', '2024-01-02'),
    )
    expect(expandToUnits(interval('2024-01-01 12:00', '2024-01-02 12:00'), 'day', true)).toEqual(
      interval('2024-01-01', '2024-01-02 12:00'),
    )
    fc.assert(
      fc.property(instant, fc.integer({ min: 1, max: 900 * DAY }), unit, (start, length, unit) => {
        const asked = { start, end: start + length }
        const expanded = expandToUnits(asked, unit)
        expect(expanded.start <= asked.start && asked.end <= expanded.end).toBe(true)
        expect(shrinkToUnits(expanded, unit)).toEqual(expanded)
      }),
    )
  })
})

describe('merging and subtracting', () => {
  test('merged intervals hold the same time, sorted and apart', () => {
    fc.assert(
      fc.property(someIntervals, (intervals) => {
        const merged = mergeIntervals(intervals)
        expect(instantsOf(merged)).toEqual(instantsOf(intervals))
        for (const [index, next] of merged.slice(1).entries()) expect(next.start).toBeGreaterThan(merged[index]!.end)
        expect(mergeIntervals(merged)).toEqual(merged)
        expect(mergeIntervals(intervals.toReversed())).toEqual(merged)
      }),
    )
  })

  test('merging again, or in another order, changes nothing', () => {
    fc.assert(
      fc.property(someIntervals, someIntervals, (some, others) => {
        const merged = mergeIntervals([...some, ...others])
        expect(mergeIntervals(merged)).toEqual(merged)
        expect(mergeIntervals([...others, ...some])).toEqual(merged)
        expect(mergeIntervals([...mergeIntervals(some), ...mergeIntervals(others)])).toEqual(merged)
      }),
    )
  })

  test('what a range holds of intervals and what it does not make up all of them', () => {
    fc.assert(
      fc.property(someIntervals, fc.nat(40), fc.nat(10), (intervals, start, length) => {
        const range = { start, end: start + length }
        const inside = intersectIntervals(intervals, range)
        const outside = subtractIntervals(intervals, [range])
        expect(mergeIntervals([...inside, ...outside])).toEqual(mergeIntervals(intervals))
        expect(inside.every((one) => one.start >= range.start && one.end <= range.end)).toBe(true)
        expect(intersectIntervals(outside, range)).toEqual([])
        expect(intersectIntervals(intervals, { start: -Infinity, end: Infinity })).toEqual(mergeIntervals(intervals))
      }),
    )
  })

  test('what is cut at batches is the same time, each piece in one batch or in none', () => {
    fc.assert(
      fc.property(someIntervals, someIntervals, (some, others) => {
        const [intervals, cuts] = [mergeIntervals(some), mergeIntervals(others)]
        const pieces = cutAtBatches(intervals, cuts)
        expect(mergeIntervals(pieces)).toEqual(intervals)
        for (const { start, end } of pieces) {
          const touched = cuts.filter((cut) => cut.start < end && cut.end > start)
          expect(touched.length).toBeLessThanOrEqual(1)
          expect(touched.every((cut) => cut.start <= start && cut.end >= end)).toBe(true)
        }
      }),
    )
  })

  test('so many units before a unit there begins one that is so many units away', () => {
    fc.assert(
      fc.property(instant, unit, fc.nat(50), (ms, of, count) => {
        const start = unitsBefore(ms, of, count)
        expect(floorUnit(start, of)).toBe(start)
        const between = { start, end: floorUnit(ms, of) }
        expect(between.start === between.end ? 0 : unitsOf(between, of).length).toBe(count)
      }),
    )
  })

  test('merging leaves its arguments alone', () => {
    const intervals = [
      { start: 0, end: 2 },
      { start: 2, end: 3 },
    ]
    expect(mergeIntervals(intervals)).toEqual([{ start: 0, end: 3 }])
    expect(intervals[0]).toEqual({ start: 0, end: 2 })
  })

  test('subtracting leaves exactly the time that was not removed', () => {
    fc.assert(
      fc.property(someIntervals, someIntervals, (intervals, removed) => {
        const left = subtractIntervals(intervals, removed)
        const gone = instantsOf(removed)
        expect(instantsOf(left)).toEqual(new Set([...instantsOf(intervals)].filter((ms) => !gone.has(ms))))
        expect(mergeIntervals(left)).toEqual(left)
      }),
    )
  })
})

describe('missing intervals', () => {
  test('only what was complete at the last tick is due', () => {
    const weekly = model({ cron: '@weekly', start: at('2024-01-08') })
    // 2024-01-14 and 2024-01-21 are Sundays.
    expect(missingIntervals(weekly, request('2024-01-01', '2024-01-20', '2024-01-20'), [])).toHaveLength(6)
    expect(missingIntervals(weekly, request('2024-01-01', '2024-01-25', '2024-01-21'), [])).toHaveLength(13)
    const now = request('2024-01-01', '2024-01-25', '2024-01-20 12:00', { ignoreCron: true })
    expect(starts(missingIntervals(weekly, now, [])).at(-1)).toBe('01-19')
  })

  test('a cron in another time zone is due at its own midnight', () => {
    const local = model({ cron_tz: 'America/New_York' })
    const recorded = [interval('2024-03-01', '2024-03-09')]
    // Clocks go forward on March 10: midnight is 05:00 UTC before it and 04:00 after.
    expect(starts(missingIntervals(local, request('2024-03-01', '2024-03-20', '2024-03-11 03:59'), recorded))).toEqual(
      [],
    )
    expect(starts(missingIntervals(local, request('2024-03-01', '2024-03-20', '2024-03-11 04:00'), recorded))).toEqual([
      '03-10',
    ])
  })

  test('a unit that is recorded only in part is missing', () => {
    const found = missingIntervals(model(), request('2024-01-01', '2024-01-03', '2024-01-10'), [
      interval('2024-01-01', '2024-01-01'),
      interval('2024-01-02', '2024-01-02 12:00'),
    ])
    expect(starts(found)).toEqual(['01-02', '01-03'])
  })

  test('partial intervals end at the last tick, and are missing again when more is there', () => {
    const hourly = model({ cron: '@hourly', allow_partials: true })
    const first = missingIntervals(hourly, request('2024-01-01', '2024-01-02', '2024-01-02 05:30'), [])
    expect(first.at(-1)).toEqual(interval('2024-01-02', '2024-01-02 05:00'))
    expect(missingIntervals(hourly, request('2024-01-01', '2024-01-02', '2024-01-02 05:30'), first)).toEqual([])
    expect(missingIntervals(hourly, request('2024-01-01', '2024-01-02', '2024-01-02 07:00'), first)).toEqual([
      interval('2024-01-02', '2024-01-02 07:00'),
    ])
  })

  test('the start is taken back to the start of its unit', () => {
    const monthly = model({ cron: '@monthly', interval_unit: 'month', start: at('2024-01-20') })
    expect(starts(missingIntervals(monthly, request('2023-01-01', '2024-03-10', '2024-03-10'), []))).toEqual([
      '01-01',
      '02-01',
    ])
  })

  test('a range shorter than a unit asks for nothing, unless it ends in a date', () => {
    const monthly = model({ cron: '@monthly', interval_unit: 'month' })
    expect(missingIntervals(monthly, request('2024-01-05', '2024-01-20 00:00', '2024-03-10'), [])).toEqual([])
    expect(starts(missingIntervals(monthly, request('2024-01-05', '2024-01-20', '2024-03-10'), []))).toEqual(['01-01'])
    const { endIsDate: _, ...unsaid } = request('2024-01-05', '2024-01-20', '2024-03-10')
    expect(starts(missingIntervals(monthly, unsaid, []))).toEqual(['01-01'])
    expect(missingIntervals(model(), request('2024-01-05 10:00', '2024-01-05 20:00', '2024-03-10'), [])).toEqual([])
  })

  test('outside the model’s range, and before anything is due, nothing is missing', () => {
    const bounded = model({ start: at('2024-01-05'), end: at('2024-01-11') })
    expect(missingIntervals(bounded, request('2024-01-01', '2024-01-04', '2024-02-01'), [])).toEqual([])
    expect(missingIntervals(bounded, request('2024-01-11', '2024-01-14', '2024-02-01'), [])).toEqual([])
    expect(missingIntervals(bounded, request('2024-01-01', '2024-01-14', '2024-01-05 23:00'), [])).toEqual([])
    expect(missingIntervals(model(), request('2024-01-05', '2024-01-01', '2024-02-01'), [])).toEqual([])
  })

  test('an embedded or external model misses nothing, a seed nothing once it is loaded', () => {
    const days = request('2024-01-01', '2024-01-03', '2024-01-10')
    expect(missingIntervals(model({ kind: 'EMBEDDED' }), days, [])).toEqual([])
    expect(missingIntervals(model({ kind: 'EXTERNAL' }), days, [])).toEqual([])
    expect(missingIntervals(model({ kind: 'SEED' }), days, [])).toHaveLength(3)
    expect(missingIntervals(model({ kind: 'SEED' }), days, [interval('2024-01-01', '2024-01-01')])).toEqual([])
  })
})

describe('lookback', () => {
  const days = request('2024-01-01', '2024-01-10', '2024-01-11')

  test('the units before a missing one are missing too, and the last ones of the range', () => {
    const recorded = [interval('2024-01-01', '2024-01-04'), interval('2024-01-06', '2024-01-10')]
    expect(starts(missingIntervals(model({ lookback: 2 }), days, recorded))).toEqual([
      '01-03',
      '01-05',
      '01-09',
      '01-10',
    ])
  })

  test('where nothing is missing there is nothing to look back from', () => {
    expect(missingIntervals(model({ lookback: 2 }), days, [interval('2024-01-01', '2024-01-10')])).toEqual([])
  })

  test('a lookback longer than the range reaches its start and not further', () => {
    const found = missingIntervals(model({ lookback: 50, start: at('2024-01-03') }), days, [
      interval('2024-01-01', '2024-01-09'),
    ])
    expect(starts(found)).toEqual(['01-03', '01-04', '01-05', '01-06', '01-07', '01-08', '01-09', '01-10'])
  })

  test('a range that goes on after the model’s end uses the lookback up', () => {
    const recorded = [interval('2024-01-01', '2024-01-05')]
    const ended = model({ lookback: 3, end: at('2024-01-07') })
    const until = (end: string) => starts(missingIntervals(ended, request('2024-01-01', end, '2024-02-01'), recorded))
    expect(until('2024-01-06')).toEqual(['01-03', '01-04', '01-05', '01-06'])
    expect(until('2024-01-08')).toEqual(['01-04', '01-05', '01-06'])
    expect(until('2024-01-09')).toEqual(['01-05', '01-06'])
    expect(until('2024-01-20')).toEqual(['01-06'])
  })
})

describe('missing intervals, for any model and request', () => {
  const shortUnit = fc.constantFrom('month', 'day', 'hour')
  const base = Date.UTC(2024, 0, 1)
  const nearby = fc.integer({ min: 0, max: 24 * 90 }).map((hours) => base + hours * HOUR)
  const ranges = fc.tuple(nearby, nearby).map(([a, b]): Interval => ({ start: Math.min(a, b), end: Math.max(a, b) }))
  const cases = fc.record({
    model: fc
      .record({
        cron: fc.constantFrom('@hourly', '@daily', '@weekly', '@monthly'),
        cron_tz: fc.constantFrom(null, 'America/New_York', 'Europe/Berlin'),
        interval_unit: shortUnit,
        bounds: fc.option(ranges),
        lookback: fc.integer({ min: 0, max: 5 }),
        allow_partials: fc.boolean(),
      })
      .map(({ bounds, ...rest }) => model({ ...rest, start: bounds?.start ?? null, end: bounds?.end ?? null })),
    range: ranges,
    now: nearby,
    ignoreCron: fc.boolean(),
    recorded: fc.array(ranges, { maxLength: 4 }),
  })

  test('they are sorted units inside the due range, and with the recorded ones they cover it', () => {
    fc.assert(
      fc.property(cases, ({ model, range, now, ignoreCron, recorded }) => {
        const request = { ...range, now, ignoreCron }
        const found = missingIntervals(model, request, recorded)
        const everything = missingIntervals(model, request, [])
        const keys = new Set(everything.map(({ start, end }) => `${start} ${end}`))
        expect(found.every(({ start, end }) => keys.has(`${start} ${end}`))).toBe(true)
        expect(found).toEqual(found.toSorted((a, b) => a.start - b.start))
        expect(subtractIntervals(everything, [...found, ...recorded])).toEqual([])
        for (const { start, end } of found) {
          expect(start).toBeLessThan(end)
          expect(end).toBeLessThanOrEqual(now)
          expect(start).toBeLessThan(model.end ?? Infinity)
          expect(floorUnit(start, model.interval_unit)).toBe(start)
          if (!model.allow_partials) expect(nextUnit(start, model.interval_unit)).toBe(end)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('after they are recorded nothing is missing, unless the range goes on after the model’s end', () => {
    fc.assert(
      fc.property(cases, ({ model, range, now, ignoreCron, recorded }) => {
        const request = {
          ...range,
          end: Math.min(range.end, floorUnit(model.end ?? range.end, 'day')),
          now,
          ignoreCron,
        }
        const wholeUnits = { ...model, end: model.end === null ? null : request.end, interval_unit: 'hour' as const }
        const found = missingIntervals(wholeUnits, request, recorded)
        expect(missingIntervals(wholeUnits, request, [...recorded, ...found])).toEqual([])
      }),
      { numRuns: 500 },
    )
  })

  test('lookback reaches so many units back from what is missing, and no further', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(30), { maxLength: 20 }), fc.nat(5), (days, lookback) => {
        const at = (day: number): number => Date.UTC(2024, 0, 1 + day)
        const recorded = mergeIntervals(days.map((day) => ({ start: at(day), end: at(day + 1) })))
        const asked = { start: at(0), end: at(31), now: at(31) }
        const missing = missingIntervals(model(), asked, recorded).map(({ start }) => start)
        const found = missingIntervals(model({ lookback }), asked, recorded).map(({ start }) => start)
        const reach = [...missing, ...(missing.length > 0 ? [at(31)] : [])]
        const expected = Array.from({ length: 31 }, (_, day) => at(day)).filter(
          (start) => missing.includes(start) || reach.some((later) => later > start && later <= start + lookback * DAY),
        )
        for (const start of missing) expect(found).toContain(start)
        for (const start of found) expect(expected).toContain(start)
      }),
    )
  })

  test('lookback adds units and takes none away', () => {
    fc.assert(
      fc.property(cases, ({ model, range, now, recorded }) => {
        const without = missingIntervals({ ...model, lookback: 0 }, { ...range, now }, recorded)
        const withLookback = missingIntervals(model, { ...range, now }, recorded)
        expect(subtractIntervals(without, withLookback)).toEqual([])
        if (model.end === null && without.length === 0) expect(withLookback).toEqual([])
      }),
      { numRuns: 500 },
    )
  })

  test('batches hold exactly the missing units, none too many, no gap', () => {
    fc.assert(
      fc.property(cases, fc.option(fc.integer({ min: 1, max: 7 })), ({ model, range, now, recorded }, batchSize) => {
        const found = missingIntervals(model, { ...range, now }, recorded)
        const chunks = batches(found, batchSize)
        expect(chunks.flatMap((chunk) => unitsOf(chunk, model.interval_unit))).toEqual(found)
        for (const chunk of chunks) {
          expect(unitsOf(chunk, model.interval_unit).length).toBeLessThanOrEqual(batchSize ?? Infinity)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('batches', () => {
  const days = [1, 2, 3, 4, 5, 8, 9].map((day) => ({ start: day * DAY, end: (day + 1) * DAY }))

  test('neighbours share a batch up to its size, and gaps split', () => {
    expect(batches(days, 2).map(({ start, end }) => [start / DAY, end / DAY])).toEqual([
      [1, 3],
      [3, 5],
      [5, 6],
      [8, 10],
    ])
  })

  test('without a size there is one batch for each run of units', () => {
    expect(batches(days, null).map(({ start, end }) => [start / DAY, end / DAY])).toEqual([
      [1, 6],
      [8, 10],
    ])
    expect(batches([], null)).toEqual([])
  })
})

test('twenty years of hours are found, recorded and batched at once', () => {
  const hourly = model({ cron: '@hourly', interval_unit: 'hour', lookback: 3 })
  const twentyYears = request('2004-01-01', '2023-12-31', '2024-02-01')
  const units = missingIntervals(hourly, twentyYears, [])
  expect(units).toHaveLength(175_320)
  const everySecond = units.filter((_, index) => index % 2 === 0)
  const startedMs = performance.now()
  expect(missingIntervals({ ...hourly, lookback: 0 }, twentyYears, everySecond)).toHaveLength(87_660)
  expect(batches(units, 24)).toHaveLength(7305)
  // Quadratic work would take minutes.
  expect(performance.now() - startedMs).toBeLessThan(2000)
})
