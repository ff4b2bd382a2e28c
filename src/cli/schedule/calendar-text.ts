/** Calendars as the cron that says the same. Pure. */
import type { CommentedCalendar } from './definition.ts'

export interface NumberRange {
  start: number
  /** Inclusive. */
  end: number
  step: number
}

/** As it was written, where that is known; a year is a sixth field, seconds come before the others. */
export function calendarText({ comment, seconds, years, ...fields }: CommentedCalendar): string {
  if (comment !== '') return comment
  const { minutes, hours, daysOfMonth, months, daysOfWeek } = fields
  const cron = [
    fieldText(minutes, 60),
    fieldText(hours, 24),
    fieldText(daysOfMonth, 31),
    fieldText(months, 12),
    fieldText(daysOfWeek, 7),
    ...(years.length === 0 ? [] : [fieldText(years, Infinity)]),
  ].join(' ')
  return seconds.length === 1 && seconds[0] === 0 ? cron : `${fieldText(seconds, 60)} ${cron}`
}

/** @param size how many values there are. */
function fieldText(values: readonly number[], size: number): string {
  if (values.length >= size) return '*'
  const texts = toRanges(values).map(({ start, end, step }) => {
    if (start === end) return String(start)
    return `${start}-${end}${step === 1 ? '' : `/${step}`}`
  })
  return texts.join(',')
}

/** As few ranges as people would write: all in even steps, else each run of neighbours. */
export function toRanges(values: readonly number[]): NumberRange[] {
  const [first, second] = values
  const last = values.at(-1)
  if (first === undefined || last === undefined) return []
  const step = (second ?? first + 1) - first
  if (values.length > 2 && values.every((value, index) => value === first + index * step))
    return [{ start: first, end: last, step }]
  const ranges: NumberRange[] = []
  for (const value of values) {
    const open = ranges.at(-1)
    if (open !== undefined && value === open.end + 1) open.end = value
    else ranges.push({ start: value, end: value, step: 1 })
  }
  return ranges
}
