/** The properties that say when a model is due, and from when to when it has data. */
import { assertCron, assertTimezone, inferIntervalUnit } from '../../graph/cron.ts'
import { parseTime } from '../../graph/time.ts'
import { INTERVAL_UNITS, type IntervalUnit, type Model } from '../model.ts'
import type { HeaderProblems } from './header-problems.ts'
import { checkAt, headerProblem, type HeaderSource, type Position } from './header-source.ts'
import type { ModelDefaults } from './model-defaults.ts'
import type { HeaderValue, Properties } from './properties.ts'
import { readBoolean, readChoice, readRequiredText, readText } from './values.ts'

export type Schedule = Pick<Model, 'cron' | 'cron_tz' | 'interval_unit' | 'start' | 'end' | 'allow_partials'>

/** Two instants far apart: a text that means the same at both is not relative. */
const SOME_NOW_MS = 1_000_000_000_000
const OTHER_NOW_MS = 1_500_000_000_000

/** Problems go to `problems`, at the property or, for a default, at `model`. */
export function readSchedule(
  properties: Properties,
  defaults: ModelDefaults,
  model: { source: HeaderSource; at: Position },
  problems: HeaderProblems,
): Schedule {
  const { source, at } = model
  const read = <T>(key: string, fallback: T, reader: (value: HeaderValue) => T): T =>
    problems.attempt(fallback, () => {
      const value = properties.get(key)
      return value === undefined ? fallback : reader(value)
    })
  const positionOf = (key: string): Position => properties.get(key)?.at ?? at

  const cron = read('cron', defaults.cron ?? '@daily', readRequiredText)
  const cron_tz = read('cron_tz', defaults.cron_tz ?? null, readText)
  const unit = read<IntervalUnit | null>('interval_unit', defaults.interval_unit ?? null, (value) =>
    readChoice(value, INTERVAL_UNITS),
  )
  const allow_partials = read('allow_partials', defaults.allow_partials ?? false, readBoolean)
  const interval_unit = problems.attempt(unit ?? 'day', () =>
    checkAt(source, positionOf('cron'), () => {
      assertCron(cron, unit, allow_partials)
      return unit ?? inferIntervalUnit(cron)
    }),
  )
  if (cron_tz !== null) {
    problems.attempt(null, () => checkAt(source, positionOf('cron_tz'), () => assertTimezone(cron_tz)))
  }

  const start = read('start', defaults.start ?? null, readText)
  const end = read('end', null, readText)
  problems.attempt(null, () => assertRange(start, end, source, positionOf))
  return { cron, cron_tz, interval_unit, start, end, allow_partials }
}

function assertRange(
  start: string | null,
  end: string | null,
  source: HeaderSource,
  positionOf: (key: string) => Position,
): void {
  const startAt = (nowMs: number): number | null =>
    start === null ? null : checkAt(source, positionOf('start'), () => parseTime(start, 'start', nowMs))
  const endAt = (nowMs: number): number | null =>
    end === null ? null : checkAt(source, positionOf('end'), () => parseTime(end, 'end', nowMs))
  const [from, to] = [startAt(SOME_NOW_MS), endAt(SOME_NOW_MS)]
  if (to === null) return
  if (from === null) {
    throw headerProblem(
      source,
      positionOf('end'),
      "expected 'start' beside 'end'; it is missing",
      'add start, the first day with data',
    )
  }
  const absolute = from === startAt(OTHER_NOW_MS) && to === endAt(OTHER_NOW_MS)
  if (absolute && to <= from) {
    throw headerProblem(source, positionOf('end'), `expected an end after the start ${start}; got ${end}`, 'swap them')
  }
}
