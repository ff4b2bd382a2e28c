/**
 * Times as people write them, and instants as Millrace keeps them: epoch milliseconds, UTC.
 * Pure: "now" is always a parameter.
 */
import { MillraceError } from '../errors.ts'
import type { IntervalUnit } from '../project/model.ts'

/** Which side of a range a text stands for; it decides what a date means. */
export type TimeRole = 'start' | 'end'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Length of each interval unit in milliseconds; of a month and a year, the shortest there is. */
export const UNIT_MS: Readonly<Record<IntervalUnit, number>> = {
  year: 365 * DAY_MS,
  month: 28 * DAY_MS,
  day: DAY_MS,
  hour: HOUR_MS,
  half_hour: HOUR_MS / 2,
  quarter_hour: HOUR_MS / 4,
  five_minute: HOUR_MS / 12,
}

/**
 * The instant a text means.
 *
 * - A date: `2024-01-31`, `20240131`. As an end it is inclusive: the midnight after it.
 * - A timestamp: `2024-01-31 10:00[:00[.000000]]`, with `T` or a blank, with or without a zone (UTC when none);
 *   an integer of nine digits or more is epoch milliseconds. As an end it is exclusive: the instant itself.
 * - Relative to `nowMs`: `now`, `today`, `yesterday`, `tomorrow`, `2 days ago`, `in 1 week`, `1 year, 2 months ago`,
 *   `an hour ago`, `last month`; an amount alone (`1 week`) lies in the past. When every unit is a day or longer the
 *   text means a date, so it starts at midnight and is inclusive as an end; `now` and anything with hours, minutes or
 *   seconds is an instant. Months and years keep to the calendar: one month before March 31 is the last of February.
 *
 * Fractions finer than a millisecond are cut off.
 *
 * @throws MillraceError `USAGE` for any other text
 */
export function parseTime(text: string, role: TimeRole, nowMs: number): number {
  const moment = parseMoment(text, nowMs)
  if (moment === null) {
    const expected = "a date, a timestamp or a relative time such as '1 week ago'"
    throw new MillraceError('USAGE', `expected ${expected}, got '${text}'`, {
      hint: "Write 'YYYY-MM-DD', 'YYYY-MM-DD HH:MM:SS' (UTC), 'yesterday' or '2 days ago'.",
    })
  }
  return role === 'end' && moment.wholeDay ? moment.ms + DAY_MS : moment.ms
}

/** Whether a text means a whole day (a date, or a relative one such as `yesterday`) rather than an instant. */
export function isDate(text: string): boolean {
  return parseMoment(text, 0)?.wholeDay ?? false
}

/** `2024-01-31T10:00:00.000Z` */
export function toIso(ms: number): string {
  return new Date(ms).toISOString()
}

/** `2024-01-31`, the UTC day of an instant. */
export function toDs(ms: number): string {
  return toIso(ms).slice(0, -'T00:00:00.000Z'.length)
}

/** `2024-01-31 10:00:00`, with six digits of a fraction when there is one. */
export function toTs(ms: number): string {
  const iso = toIso(ms)
  const fraction = iso.slice(-4, -1)
  return iso.slice(0, -5).replace('T', ' ') + (fraction === '000' ? '' : `.${fraction}000`)
}

/** The same time of day `months` later; a day the month lacks becomes its last. */
export function addMonths(ms: number, months: number): number {
  const date = new Date(ms)
  const day = date.getUTCDate()
  date.setUTCMonth(date.getUTCMonth() + months, 1)
  const lastDay = new Date(date)
  lastDay.setUTCMonth(lastDay.getUTCMonth() + 1, 0)
  date.setUTCDate(Math.min(day, lastDay.getUTCDate()))
  return date.getTime()
}

interface Moment {
  ms: number
  wholeDay: boolean
}

const COMPACT_DATE = /^(\d{4})(\d{2})(\d{2})$/
const EPOCH_MS = /^-?\d{9,}$/
const ISO =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s?(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i

function parseMoment(text: string, nowMs: number): Moment | null {
  const trimmed = text.trim()
  const moment = parseAbsolute(trimmed) ?? parseRelative(trimmed.toLowerCase().replaceAll(/\s+/g, ' '), nowMs)
  // An amount or an epoch beyond what a Date can hold is no time.
  return moment === null || Number.isNaN(new Date(moment.ms).getTime()) ? null : moment
}

function parseAbsolute(text: string): Moment | null {
  if (EPOCH_MS.test(text)) return { ms: Number(text), wholeDay: false }
  const [, year, month, day, hour, minute, second = '0', fraction = '', zone = 'Z'] =
    COMPACT_DATE.exec(text) ?? ISO.exec(text) ?? []
  const midnight = utcDay(Number(year), Number(month), Number(day))
  if (midnight === null) return null
  if (hour === undefined) return { ms: midnight, wholeDay: true }
  const offsetMinutes = zoneMinutes(zone)
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59 || offsetMinutes === null) return null
  const minutes = Number(hour) * 60 + Number(minute) - offsetMinutes
  const millis = Number(fraction.slice(0, 3).padEnd(3, '0'))
  return { ms: midnight + minutes * 60_000 + Number(second) * 1000 + millis, wholeDay: false }
}

/** Midnight of a calendar day; null for a day no calendar has, such as February 30. */
function utcDay(year: number, month: number, day: number): number | null {
  const date = new Date(0)
  // Not Date.UTC: it takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(year, month - 1, day)
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day ? date.getTime() : null
}

function zoneMinutes(zone: string): number | null {
  if (zone.toUpperCase() === 'Z') return 0
  const [hours, minutes] = [Number(zone.slice(1, 3)), Number(zone.slice(3).replace(':', ''))]
  if (hours > 23 || minutes > 59) return null
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes)
}

const NAMED_DAYS = new Map([
  ['today', 0],
  ['yesterday', -1],
  ['tomorrow', 1],
  ['day before yesterday', -2],
  ['the day before yesterday', -2],
  ['day after tomorrow', 2],
  ['the day after tomorrow', 2],
])
const NUMBER_WORDS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten']
const NEIGHBOURS = new Map([
  ['last', -1],
  ['this', 0],
  ['next', 1],
])

interface Amount {
  months: number
  days: number
  ms: number
}

/** `text` is lower case with single blanks. */
function parseRelative(text: string, nowMs: number): Moment | null {
  if (text === 'now' || text === 'just now' || text === 'right now') return { ms: nowMs, wholeDay: false }
  const amount = parseNamed(text) ?? parseAgo(text)
  if (amount === null) return null
  const wholeDay = amount.ms === 0
  const base = wholeDay ? Math.floor(nowMs / DAY_MS) * DAY_MS : nowMs
  return { ms: addMonths(base, amount.months) + amount.days * DAY_MS + amount.ms, wholeDay }
}

function parseNamed(text: string): Amount | null {
  const day = NAMED_DAYS.get(text)
  if (day !== undefined) return { months: 0, days: day, ms: 0 }
  const [, which = '', unit = ''] = /^(last|this|next) (week|month|year)$/.exec(text) ?? []
  const count = NEIGHBOURS.get(which)
  return count === undefined ? null : toAmount(count, unit)
}

function parseAgo(text: string): Amount | null {
  const [, later, past] = /^in (.+)$|^(.+) ago$/.exec(text) ?? []
  const [, after] = /^(.+) (?:later|from now)$/.exec(text) ?? []
  const future = later ?? after
  const sum = sumAmounts(future ?? past ?? text)
  if (sum === null || future !== undefined) return sum
  return { months: -sum.months, days: -sum.days, ms: -sum.ms }
}

/** `1 year, 2 months and 3 days`, also without blanks between number and unit (`2h`). */
function sumAmounts(text: string): Amount | null {
  const item = /(\d{1,9}|[a-z]+)\s?([a-z]+)(?: ?,? and |, ?| |$)/y
  const sum: Amount = { months: 0, days: 0, ms: 0 }
  while (item.lastIndex < text.length) {
    const [, count = '', unit = ''] = item.exec(text) ?? []
    const amount = toAmount(toCount(count), unit)
    if (amount === null) return null
    sum.months += amount.months
    sum.days += amount.days
    sum.ms += amount.ms
  }
  return text === '' ? null : sum
}

function toCount(text: string): number {
  if (text === 'a' || text === 'an') return 1
  const word = NUMBER_WORDS.indexOf(text)
  return word >= 0 ? word : Number(text === '' ? Number.NaN : text)
}

/** Null for a unit nobody knows or a count that is no number. */
function toAmount(count: number, unit: string): Amount | null {
  if (Number.isNaN(count)) return null
  if (/^(?:years?|yrs?|y)$/.test(unit)) return { months: 12 * count, days: 0, ms: 0 }
  if (/^decades?$/.test(unit)) return { months: 120 * count, days: 0, ms: 0 }
  if (/^(?:months?|mo)$/.test(unit)) return { months: count, days: 0, ms: 0 }
  if (/^(?:weeks?|w)$/.test(unit)) return { months: 0, days: 7 * count, ms: 0 }
  if (/^(?:days?|d)$/.test(unit)) return { months: 0, days: count, ms: 0 }
  if (/^(?:hours?|hrs?|h)$/.test(unit)) return { months: 0, days: 0, ms: count * HOUR_MS }
  if (/^(?:minutes?|mins?|m)$/.test(unit)) return { months: 0, days: 0, ms: count * 60_000 }
  if (/^(?:seconds?|secs?|s)$/.test(unit)) return { months: 0, days: 0, ms: count * 1000 }
  return null
}
