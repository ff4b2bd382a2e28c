import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../src/errors.ts'
import { addMonths, isDate, parseTime, toDs, toIso, toTs } from '../../src/graph/time.ts'

/** A Sunday in the afternoon, the last day of a month in a leap year. */
const NOW = Date.UTC(2024, 2, 31, 14, 35, 20)

function start(text: string): string {
  return toTs(parseTime(text, 'start', NOW))
}

function end(text: string): string {
  return toTs(parseTime(text, 'end', NOW))
}

describe('dates', () => {
  test.each(['2024-01-05', '20240105', '2024-1-5', ' 2024-01-05 '])(
    '%j starts at midnight and ends inclusively',
    (text) => {
      expect(start(text)).toBe('2024-01-05 00:00:00')
      expect(end(text)).toBe('2024-01-06 00:00:00')
      expect(isDate(text)).toBe(true)
    },
  )

  test('an inclusive end crosses months and leap days', () => {
    expect(end('2024-02-28')).toBe('2024-02-29 00:00:00')
    expect(end('2023-12-31')).toBe('2024-01-01 00:00:00')
  })

  test('years before 100 are not years of the last century', () => {
    expect(toDs(parseTime('0050-01-01', 'start', NOW))).toBe('0050-01-01')
  })
})

describe('timestamps', () => {
  test.each([
    ['2024-01-05 10:00', '2024-01-05 10:00:00'],
    ['2024-01-05 10:00:30', '2024-01-05 10:00:30'],
    ['2024-01-05 10:00:30.25', '2024-01-05 10:00:30.250000'],
    ['2024-01-05 10:00:30.123456', '2024-01-05 10:00:30.123000'],
    ['2024-01-05T10:00:00Z', '2024-01-05 10:00:00'],
    ['2024-01-05t10:00:00.000z', '2024-01-05 10:00:00'],
    ['2024-01-05T10:00:00+02:00', '2024-01-05 08:00:00'],
    ['2024-01-05 10:00:00 -0530', '2024-01-05 15:30:00'],
    ['2024-01-05T00:00:00', '2024-01-05 00:00:00'],
    ['1704448800000', '2024-01-05 10:00:00'],
    ['-864000000', '1969-12-22 00:00:00'],
  ])('%j is %j', (text, expected) => {
    expect(start(text)).toBe(expected)
    expect(end(text)).toBe(expected)
    expect(isDate(text)).toBe(false)
  })
})

describe('relative times', () => {
  test.each([
    ['today', '2024-03-31 00:00:00'],
    ['yesterday', '2024-03-30 00:00:00'],
    ['Tomorrow', '2024-04-01 00:00:00'],
    ['1 week ago', '2024-03-24 00:00:00'],
    [' 2  Days Ago ', '2024-03-29 00:00:00'],
    ['3 months ago', '2023-12-31 00:00:00'],
    ['1 month ago', '2024-02-29 00:00:00'],
    ['1 year ago', '2023-03-31 00:00:00'],
    ['in 1 week', '2024-04-07 00:00:00'],
    ['in 3 months', '2024-06-30 00:00:00'],
    ['2 days later', '2024-04-02 00:00:00'],
    ['2 days from now', '2024-04-02 00:00:00'],
    ['1 year, 2 months ago', '2023-01-31 00:00:00'],
    ['1 year 2 months ago', '2023-01-31 00:00:00'],
    ['1 week and 2 days ago', '2024-03-22 00:00:00'],
    ['1 decade ago', '2014-03-31 00:00:00'],
    ['2 weeks', '2024-03-17 00:00:00'],
    ['a week ago', '2024-03-24 00:00:00'],
    ['two weeks ago', '2024-03-17 00:00:00'],
    ['3d ago', '2024-03-28 00:00:00'],
    ['last week', '2024-03-24 00:00:00'],
    ['last month', '2024-02-29 00:00:00'],
    ['this month', '2024-03-31 00:00:00'],
    ['next year', '2025-03-31 00:00:00'],
    ['day before yesterday', '2024-03-29 00:00:00'],
  ])('%j is the day %j, inclusive as an end', (text, expected) => {
    expect(start(text)).toBe(expected)
    expect(parseTime(text, 'end', NOW) - parseTime(text, 'start', NOW)).toBe(86_400_000)
    expect(isDate(text)).toBe(true)
  })

  test.each([
    ['now', '2024-03-31 14:35:20'],
    ['1 hour ago', '2024-03-31 13:35:20'],
    ['an hour ago', '2024-03-31 13:35:20'],
    ['5 minutes ago', '2024-03-31 14:30:20'],
    ['30 seconds ago', '2024-03-31 14:34:50'],
    ['in 1 hour', '2024-03-31 15:35:20'],
    ['2h ago', '2024-03-31 12:35:20'],
    ['1 day 2 hours ago', '2024-03-30 12:35:20'],
  ])('%j is the instant %j, exclusive as an end', (text, expected) => {
    expect(start(text)).toBe(expected)
    expect(end(text)).toBe(expected)
    expect(isDate(text)).toBe(false)
  })
})

describe('anything else', () => {
  test.each([
    '',
    '  ',
    'foo',
    '2024',
    '2024-02-30',
    '2024-13-01',
    '20241301',
    '2024-01-05 24:00',
    '2024-01-05 10:60',
    '2024-01-05T10:00+25:00',
    '2024-01-05 10',
    'ago',
    'in',
    '1 parsec ago',
    'week ago',
    '1 week ago ago',
    'in 1 week ago',
    '999999999 years ago',
    '99999999999999999999',
  ])('%j is an error that says what is expected', (text) => {
    const parse = () => parseTime(text, 'start', NOW)
    expect(parse).toThrow(MillraceError)
    expect(parse).toThrow(`expected a date, a timestamp or a relative time such as '1 week ago', got '${text}'`)
    expect(isDate(text)).toBe(false)
  })

  test('no text makes the parser fail in another way', () => {
    const words = fc.constantFrom(
      'in',
      'ago',
      '1',
      '2024-01-05',
      'week',
      'days',
      ',',
      'and',
      'a',
      'hour',
      '10:00',
      'Z',
      '-1',
    )
    const texts = fc.oneof(
      fc.string(),
      fc.array(words, { maxLength: 8 }).map((parts) => parts.join(' ')),
    )
    fc.assert(
      fc.property(texts, fc.constantFrom('start' as const, 'end' as const), (text, role) => {
        try {
          expect(Number.isSafeInteger(parseTime(text, role, NOW))).toBe(true)
        } catch (error) {
          expect(error).toMatchObject({ code: 'USAGE' })
        }
      }),
      { numRuns: 2000 },
    )
  })
})

describe('writing', () => {
  const instants = fc.integer({ min: Date.UTC(1000, 0), max: Date.UTC(9999, 0) })

  test('an instant survives being written and read', () => {
    fc.assert(
      fc.property(instants, (ms) => {
        expect(parseTime(toIso(ms), 'start', 0)).toBe(ms)
        expect(parseTime(toTs(ms), 'end', 0)).toBe(ms)
        expect(parseTime(toDs(ms), 'start', 0)).toBe(Math.floor(ms / 86_400_000) * 86_400_000)
      }),
    )
  })

  test('ISO times have milliseconds and a Z, timestamps neither unless needed', () => {
    expect(toIso(NOW)).toBe('2024-03-31T14:35:20.000Z')
    expect(toTs(NOW + 7)).toBe('2024-03-31 14:35:20.007000')
  })

  test('a day that a month lacks becomes its last', () => {
    expect(toDs(addMonths(Date.UTC(2024, 0, 31), 1))).toBe('2024-02-29')
    expect(toDs(addMonths(Date.UTC(2024, 1, 29), 12))).toBe('2025-02-28')
    expect(toDs(addMonths(Date.UTC(2024, 1, 29), -3))).toBe('2023-11-29')
  })
})
