import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toCalendars, type Calendar } from '../../src/graph/cron-calendars.ts'
import { createCron } from '../../src/graph/cron.ts'

/** As a scheduler reads them: every field of one calendar. */
function matches(calendars: readonly Calendar[], ms: number): boolean {
  const date = new Date(ms)
  return calendars.some(
    ({ minutes, hours, daysOfMonth, months, daysOfWeek, years }) =>
      minutes.includes(date.getUTCMinutes()) &&
      hours.includes(date.getUTCHours()) &&
      daysOfMonth.includes(date.getUTCDate()) &&
      months.includes(date.getUTCMonth() + 1) &&
      daysOfWeek.includes(date.getUTCDay()) &&
      (years.length === 0 || years.includes(date.getUTCFullYear())),
  )
}

const DAY_MS = 86_400_000

/** The days from an instant on that a cron at midnight ticks on, once by its ticks and once by its calendars. */
function bothWays(days: string, from: number, count: number): { ticks: string[]; calendars: string[] } {
  const expression = `0 0 ${days}`
  const cron = createCron(expression, null)
  const calendars = toCalendars(expression)
  const all = Array.from({ length: count }, (_, index) => from + index * DAY_MS)
  const text = (ms: number): string => new Date(ms).toISOString().slice(0, 10)
  return {
    ticks: all.filter((ms) => cron.previous(ms) === ms).map(text),
    calendars: all.filter((ms) => matches(calendars, ms)).map(text),
  }
}

describe('calendars', () => {
  test.each([
    '* * *',
    '13 * *',
    '* * 1-5',
    '13 * mon',
    '*/2 * 1',
    'L * *',
    '1,15,L * *',
    '29 2 *',
    '* * 5L',
    '* * L0',
    '* * 1,5L',
    'L * 5L',
    '* * 5#3',
    '* * 7',
    '* nov-feb 6-1',
    '31 4,5 *',
    '1 */3 ?',
  ])('of %j match its ticks and no other day, through leap years', (days) => {
    const { ticks, calendars } = bothWays(days, Date.UTC(2023, 0, 1), 3 * 365)
    expect(calendars).toEqual(ticks)
    expect(ticks.length).toBeGreaterThan(0)
  })

  test('match the ticks of any cron', () => {
    const numbers = (min: number, max: number): fc.Arbitrary<string> =>
      fc.oneof(
        fc.constant('*'),
        fc.integer({ min, max }).map(String),
        fc.tuple(fc.integer({ min, max }), fc.integer({ min, max })).map(([from, to]) => `${from}-${to}`),
        fc.integer({ min: 1, max: 7 }).map((step) => `*/${step}`),
        fc.array(fc.integer({ min, max }), { minLength: 1, maxLength: 3 }).map((values) => values.join(',')),
      )
    const field = fc.tuple(numbers(0, 59), numbers(0, 23), numbers(1, 28), numbers(1, 12), numbers(0, 6))
    fc.assert(
      fc.property(field, fc.integer({ min: 0, max: 3_000 }), (fields, day) => {
        const expression = fields.join(' ')
        const calendars = toCalendars(expression)
        const cron = createCron(expression, null)
        const from = Date.UTC(2020, 0, 1) + day * DAY_MS
        const first = cron.next(from)
        expect(matches(calendars, first)).toBe(true)
        // A minute that is no tick matches none.
        for (const ms of [first - 60_000, first + 60_000, first + 3_600_000, first + DAY_MS])
          expect(matches(calendars, ms)).toBe(cron.previous(ms) === ms)
      }),
      { numRuns: 200 },
    )
  })

  test('of a bad expression are an error', () => {
    expect(() => toCalendars('0 25 * * *')).toThrow("Invalid cron '0 25 * * *'")
  })
})
