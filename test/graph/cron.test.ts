import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assertCron, assertTimezone, createCron, inferIntervalUnit } from '../../src/graph/cron.ts'
import { toTs } from '../../src/graph/time.ts'

function ticks(expression: string, timezone: string | null, from: string, count: number): string[] {
  const cron = createCron(expression, timezone)
  const found: string[] = []
  let ms = Date.parse(`${from}Z`)
  for (let index = 0; index < count; index++) {
    ms = cron.next(ms)
    found.push(toTs(ms).slice(0, 16))
  }
  return found
}

describe('ticks', () => {
  test('the previous tick is at or before an instant, the next one after it', () => {
    const cron = createCron('@daily', null)
    const midnight = Date.UTC(2024, 0, 10)
    expect(cron.previous(midnight)).toBe(midnight)
    expect(cron.previous(midnight - 1)).toBe(midnight - 86_400_000)
    expect(cron.next(midnight)).toBe(midnight + 86_400_000)
    expect(cron.next(midnight - 1)).toBe(midnight)
    expect(cron.previous(midnight + 0.5)).toBe(midnight)
  })

  test.each([
    ['@hourly', ['2024-01-10 13:00', '2024-01-10 14:00']],
    ['@midnight', ['2024-01-11 00:00', '2024-01-12 00:00']],
    ['@Weekly', ['2024-01-14 00:00', '2024-01-21 00:00']],
    ['@monthly', ['2024-02-01 00:00', '2024-03-01 00:00']],
    ['@yearly', ['2025-01-01 00:00', '2026-01-01 00:00']],
    ['@annually', ['2025-01-01 00:00', '2026-01-01 00:00']],
    [' 0  6 * * 1-5 ', ['2024-01-11 06:00', '2024-01-12 06:00', '2024-01-15 06:00']],
    ['0 0 1 JAN-MAR *', ['2024-02-01 00:00', '2024-03-01 00:00', '2025-01-01 00:00']],
    ['0 0 * * 7', ['2024-01-14 00:00', '2024-01-21 00:00']],
    ['0 0 L * *', ['2024-01-31 00:00', '2024-02-29 00:00']],
    ['0 0 * * 5#3', ['2024-01-19 00:00', '2024-02-16 00:00']],
    ['0 0 * * L5', ['2024-01-26 00:00', '2024-02-23 00:00']],
    ['0 0 29 2 *', ['2024-02-29 00:00', '2028-02-29 00:00']],
  ])('%j ticks as crontabs do', (expression, expected) => {
    expect(ticks(expression, null, '2024-01-10T12:34:00', expected.length)).toEqual(expected)
  })

  test('a day of the month and a day of the week are alternatives', () => {
    expect(ticks('0 0 13 * mon', null, '2024-01-10T00:00:00', 3)).toEqual([
      '2024-01-13 00:00',
      '2024-01-15 00:00',
      '2024-01-22 00:00',
    ])
  })

  test('only a star leaves the choice of days to the other field', () => {
    expect(ticks('0 0 13 * *', null, '2024-01-10T00:00:00', 2)).toEqual(['2024-01-13 00:00', '2024-02-13 00:00'])
    expect(ticks('0 0 13 * 0-6', null, '2024-01-10T00:00:00', 2)).toEqual(['2024-01-11 00:00', '2024-01-12 00:00'])
  })

  test('ranges wrap around, with a step too', () => {
    expect(ticks('0 22-2 * * *', null, '2024-01-10T12:00:00', 6).map((tick) => tick.slice(11, 13))).toEqual([
      '22',
      '23',
      '00',
      '01',
      '02',
      '22',
    ])
    expect(ticks('0 22-2/2 * * *', null, '2024-01-10T12:00:00', 4).map((tick) => tick.slice(11, 13))).toEqual([
      '22',
      '00',
      '02',
      '22',
    ])
    expect(ticks('0 0 * * fri-mon', null, '2024-01-10T12:00:00', 5).map((tick) => tick.slice(8, 10))).toEqual([
      '12',
      '13',
      '14',
      '15',
      '19',
    ])
  })

  test('values may come twice', () => {
    expect(ticks('0 */6,6,18-20,6 * * mon,1', null, '2024-01-10T12:00:00', 6)).toEqual([
      '2024-01-15 00:00',
      '2024-01-15 06:00',
      '2024-01-15 12:00',
      '2024-01-15 18:00',
      '2024-01-15 19:00',
      '2024-01-15 20:00',
    ])
  })

  test('a time zone moves the ticks, over daylight saving time too', () => {
    expect(ticks('0 0 * * *', 'America/New_York', '2024-03-09T00:00:00', 3)).toEqual([
      '2024-03-09 05:00',
      '2024-03-10 05:00',
      '2024-03-11 04:00',
    ])
    expect(ticks('0 0 * * *', 'America/New_York', '2024-11-02T12:00:00', 2)).toEqual([
      '2024-11-03 04:00',
      '2024-11-04 05:00',
    ])
    expect(ticks('30 9 * * *', 'Asia/Kolkata', '2024-01-01T00:00:00', 1)).toEqual(['2024-01-01 04:00'])
  })

  test('previous and next agree everywhere', () => {
    const crons = fc
      .record({
        expression: fc.constantFrom(
          '@daily',
          '@hourly',
          '@weekly',
          '@monthly',
          '*/20 * * * *',
          '30 2 * * *',
          '0 9,17 * * 1-5',
        ),
        timezone: fc.constantFrom(null, 'America/New_York', 'Europe/Berlin', 'Australia/Lord_Howe', 'Asia/Kolkata'),
      })
      .map(({ expression, timezone }) => createCron(expression, timezone))
    const instants = fc.integer({ min: Date.UTC(2023, 0), max: Date.UTC(2026, 0) })
    fc.assert(
      fc.property(crons, instants, (cron, ms) => {
        const [previous, next] = [cron.previous(ms), cron.next(ms)]
        expect(previous).toBeLessThanOrEqual(ms)
        expect(next).toBeGreaterThan(ms)
        expect(cron.previous(previous)).toBe(previous)
        expect(cron.next(previous)).toBe(next)
        expect(cron.previous(next - 1)).toBe(previous)
      }),
      { numRuns: 500 },
    )
  })

  test('thousands of models that share a cron share its ticks', () => {
    expect(createCron('@daily', 'Asia/Tokyo')).toBe(createCron('@daily', 'Asia/Tokyo'))
    expect(createCron('@daily', 'Asia/Tokyo')).not.toBe(createCron('@daily', null))
  })
})

describe('interval units', () => {
  test.each([
    ['@yearly', 'year'],
    ['0 0 29 2 *', 'year'],
    ['@monthly', 'month'],
    ['0 0 1 */3 *', 'month'],
    ['0 0 L * *', 'month'],
    ['@weekly', 'day'],
    ['0 3 * * 1', 'day'],
    ['@daily', 'day'],
    ['0 6 * * 1-5', 'day'],
    ['0 0 1,15 * *', 'day'],
    ['0 0 1-10 * *', 'day'],
    ['0 0,23 * * *', 'hour'],
    ['0 0,23 * * 1', 'hour'],
    ['0 */6 * * *', 'hour'],
    ['0 9,17 * * *', 'hour'],
    ['@hourly', 'hour'],
    ['*/30 * * * *', 'half_hour'],
    ['*/40 * * * *', 'quarter_hour'],
    ['*/20 * * * *', 'quarter_hour'],
    ['*/10 * * * *', 'five_minute'],
    ['*/5 * * * *', 'five_minute'],
    ['55 23,0 * * *', 'hour'],
  ])('%j implies %s', (expression, unit) => {
    expect(inferIntervalUnit(expression)).toBe(unit)
  })

  test.each(['* * * * *', '*/4 * * * *', '*/7 * * * *', '0,3 0 1 1 *', '0,58 * * * *'])(
    '%j ticks too often',
    (expression) => {
      expect(() => inferIntervalUnit(expression)).toThrow(
        `Invalid cron '${expression}': it must run at a frequency of 5 minutes`,
      )
    },
  )

  test('the gap over midnight counts only when both days have ticks', () => {
    expect(inferIntervalUnit('0 0,23 * * *')).toBe('hour')
    expect(inferIntervalUnit('0,57 0,23 * * 1')).toBe('half_hour')
    expect(() => inferIntervalUnit('0,57 0,23 * * 1-2')).toThrow('3 minutes apart')
  })
})

describe('checks', () => {
  test.each([
    ['', 'expected 5 fields, got 0'],
    ['0 0 * *', 'expected 5 fields, got 4'],
    ['0 0 * * * *', 'expected 5 fields, got 6'],
    ['60 * * * *', '60'],
    ['0 24 * * *', '24'],
    ['*/0 * * * *', '0'],
    ['0 0 31 2 *', 'day of month'],
    ['0 0 * jan-foo *', 'jan-foo'],
    ['0 0 jan * *', 'jan'],
    ['H * * * *', 'H'],
    ['0 0 15W * *', '15w'],
    ['@reboot', 'unknown alias'],
  ])('%j is refused, saying what is wrong', (expression, problem) => {
    const check = () => assertCron(expression, null, false)
    expect(check).toThrow(`Invalid cron '${expression}'`)
    expect(check).toThrow(new RegExp(problem.replaceAll(/[*/]/g, '.'), 'i'))
    expect(check).toThrow(expect.objectContaining({ code: 'MODEL', hint: expect.any(String) }))
  })

  test('a misspelt alias gets a suggestion', () => {
    expect(() => assertCron('@dayly', null, false)).toThrow(expect.objectContaining({ hint: "Did you mean '@daily'?" }))
  })

  test('a unit longer than the time between ticks needs partial intervals', () => {
    expect(() => assertCron('@hourly', 'day', false)).toThrow(
      "Cron '@hourly' cannot be more frequent than interval unit 'day'",
    )
    expect(() => assertCron('@weekly', 'month', false)).toThrow(expect.objectContaining({ code: 'MODEL' }))
    assertCron('@hourly', 'day', true)
    assertCron('@daily', 'hour', false)
    assertCron('@daily', 'day', false)
  })

  test('an unknown time zone is refused with a suggestion', () => {
    expect(() => createCron('@daily', 'Europe/Berln')).toThrow(
      expect.objectContaining({ code: 'MODEL', hint: "Did you mean 'Europe/Berlin'?" }),
    )
    expect(() => assertTimezone('Mars')).toThrow("expected an IANA time zone such as 'Europe/Berlin', got 'Mars'")
    assertTimezone('UTC')
    assertTimezone('America/New_York')
  })

  test('no text makes the parser fail in another way', () => {
    const items = fc.constantFrom('*', '*/5', '0', '5-2', '1,2', 'L', 'mon', '?', '1#2', 'h', '31', '2', '-', '1/0')
    const texts = fc.oneof(
      fc.string(),
      fc.array(items, { minLength: 5, maxLength: 5 }).map((parts) => parts.join(' ')),
    )
    fc.assert(
      fc.property(texts, (text) => {
        try {
          assertCron(text, null, false)
        } catch (error) {
          expect(error).toMatchObject({ code: 'MODEL' })
        }
      }),
      { numRuns: 1000 },
    )
  })
})
