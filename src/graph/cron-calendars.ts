/**
 * A cron expression as calendars: lists of numbers that must all match. For schedulers that know no `L`, no `#`, and no "either" between the
 * two days. Pure.
 */
import { cronFields } from './cron.ts'

/** Matches an instant when each of its fields does. Values are sorted and distinct; no years: every year. */
export interface Calendar {
  minutes: number[]
  hours: number[]
  daysOfMonth: number[]
  months: number[]
  /** 0 is Sunday. */
  daysOfWeek: number[]
  years: number[]
}

/**
 * The calendars that together match exactly the ticks of a cron expression, until the year 2099.
 * @throws MillraceError `MODEL` for a bad expression
 */
export function toCalendars(expression: string): Calendar[] {
  const { minute, hour, dayOfMonth, month, dayOfWeek } = cronFields(expression)
  const base = {
    minutes: numbers(minute.values),
    hours: numbers(hour.values),
    daysOfMonth: range(1, 31),
    months: numbers(month.values),
    daysOfWeek: range(0, 6),
    years: [],
  }
  if (dayOfMonth.isWildcard && dayOfWeek.isWildcard) return [base]
  const calendars: Calendar[] = []
  if (!dayOfMonth.isWildcard) {
    const daysOfMonth = numbers(dayOfMonth.values)
    if (daysOfMonth.length > 0) calendars.push({ ...base, daysOfMonth })
    if (dayOfMonth.hasLastChar) calendars.push(...lastDays(base, 1))
  }
  if (!dayOfWeek.isWildcard) {
    // Sunday is 0 and 7.
    const daysOfWeek = numbers(dayOfWeek.values.map((day) => (day === 7 ? 0 : day)))
    const nth = dayOfWeek.nthDay
    if (daysOfWeek.length > 0)
      calendars.push({ ...base, daysOfWeek, ...(nth > 0 ? { daysOfMonth: range(nth * 7 - 6, nth * 7) } : {}) })
    // `5L`: the last Friday lies in the last seven days.
    const last = dayOfWeek.values.flatMap((day) => (typeof day === 'string' ? [Number.parseInt(day, 10) % 7] : []))
    if (last.length > 0) calendars.push(...lastDays({ ...base, daysOfWeek: numbers(last) }, 7))
  }
  return calendars
}

const FIRST_YEAR = 2000
const LAST_YEAR = 2099

/** Months by their length, February by the year's. */
const LENGTHS: readonly { days: number; months: readonly number[]; years: number[] }[] = [
  { days: 31, months: [1, 3, 5, 7, 8, 10, 12], years: [] },
  { days: 30, months: [4, 6, 9, 11], years: [] },
  { days: 29, months: [2], years: range(FIRST_YEAR, LAST_YEAR).filter((year) => year % 4 === 0) },
  { days: 28, months: [2], years: range(FIRST_YEAR, LAST_YEAR).filter((year) => year % 4 !== 0) },
]

/** The last `count` days of each month. */
function lastDays(base: Calendar, count: number): Calendar[] {
  return LENGTHS.flatMap(({ days, months, years }) => {
    const common = base.months.filter((month) => months.includes(month))
    return common.length === 0 ? [] : [{ ...base, daysOfMonth: range(days - count + 1, days), months: common, years }]
  })
}

function numbers(values: readonly (number | string)[]): number[] {
  return [...new Set(values.filter((value) => typeof value === 'number'))].sort((a, b) => a - b)
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}
