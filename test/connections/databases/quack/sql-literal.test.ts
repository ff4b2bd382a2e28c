/** Written as SQL, a value is what it would have been if it were bound. */
import {
  arrayValue,
  bitValue,
  blobValue,
  dateValue,
  decimalValue,
  DuckDBDateValue,
  DuckDBInstance,
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  intervalValue,
  listValue,
  mapValue,
  structValue,
  timeValue,
  timeTZValue,
  unionValue,
  uuidValue,
  type DuckDBConnection,
  type DuckDBValue,
} from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toSqlLiteral } from '../../../../src/connections/databases/quack/sql-literal.ts'

let instance: DuckDBInstance
let connection: DuckDBConnection

beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:')
  connection = await instance.connect()
  // Where this machine is must not matter.
  await connection.run("SET TimeZone = 'Asia/Tokyo'")
})

afterAll(() => {
  connection.disconnectSync()
  instance.closeSync()
})

/** Type and value. */
async function asked(expression: string, values?: DuckDBValue[]): Promise<unknown> {
  const reader = await connection.runAndReadAll(`SELECT typeof(${expression}) AS type, ${expression} AS value`, values)
  return [reader.value(0, 0), reader.value(1, 0)]
}

const SECOND = 1_704_164_645n

describe('a literal', () => {
  test.each<[string, DuckDBValue]>([
    ['true', true],
    ['false', false],
    ['a small number', 42],
    ['a negative number', -7],
    ['zero', 0],
    ['negative zero', -0],
    ['the largest INTEGER', 2_147_483_647],
    ['the smallest INTEGER', -2_147_483_648],
    ['a number above INTEGER', 2_147_483_648],
    ['the largest exact number', Number.MAX_SAFE_INTEGER],
    ['a fraction', 0.1],
    ['a tiny fraction', -5e-324],
    ['infinity', Infinity],
    ['negative infinity', -Infinity],
    ['not a number', NaN],
    ['a big integer', 9_223_372_036_854_775_807n],
    ['a big integer above 64 bits', -170_141_183_460_469_231_731_687_303_715_884_105_728n],
    ['text', 'orders'],
    ['empty text', ''],
    ['text with quotes', `it's "quoted" \\ $1 '; DROP TABLE x; --`],
    ['text with newlines', 'a\r\nb\tc'],
    ['text with NUL', '\0a\0\0b\0'],
    ['text beyond ASCII', 'ä€𝄞'],
    ['a date', new DuckDBDateValue(19_724)],
    ['a date before 1970', dateValue({ year: 1, month: 1, day: 1 })],
    ['a date before Christ', dateValue({ year: -43, month: 3, day: 15 })],
    ['the last date', new DuckDBDateValue(2_147_483_647)],
    ['a timestamp', new DuckDBTimestampValue(SECOND * 1_000_000n + 123_456n)],
    ['the end of time', new DuckDBTimestampValue(9_223_372_036_854_775_807n)],
    ['the beginning of time', new DuckDBTimestampValue(-9_223_372_036_854_775_807n)],
    ['a timestamp with a zone', new DuckDBTimestampTZValue(SECOND * 1_000_000n)],
    ['the end of time with a zone', new DuckDBTimestampTZValue(9_223_372_036_854_775_807n)],
    ['a timestamp in seconds', new DuckDBTimestampSecondsValue(SECOND)],
    ['a timestamp in milliseconds', new DuckDBTimestampMillisecondsValue(SECOND * 1000n + 7n)],
    ['a timestamp in nanoseconds', new DuckDBTimestampNanosecondsValue(SECOND * 1_000_000_000n + 7n)],
    ['a time', timeValue(3_723_000_001n)],
    ['a time with a zone', timeTZValue(3_723_000_000n, 7200)],
    ['an interval', intervalValue(14, -3, 5_000_001n)],
    ['a decimal', decimalValue(-12_345n, 9, 2)],
    ['a large decimal', decimalValue(99_999_999_999_999_999_999_999_999_999_999_999_999n, 38, 10)],
    ['a blob', blobValue(new Uint8Array([0, 39, 92, 255]))],
    ['an empty blob', blobValue(new Uint8Array())],
    ['bits', bitValue('0101100')],
    ['a UUID', uuidValue(0x210a5253f8684eeabc1894889d48ccf8n)],
    ['a list', listValue([1, 2, null])],
    ['a list of text', listValue(["it's", 'b'])],
    ['an array', arrayValue([1, 2])],
    ['a struct', structValue({ a: 1, 'b "c"': 'x' })],
    ['a struct in a list', listValue([structValue({ at: new DuckDBDateValue(1) })])],
    [
      'a map',
      mapValue([
        { key: 'a', value: 1 },
        { key: 'b', value: 2 },
      ]),
    ],
    ['a union', unionValue('k', 1)],
  ])('of %s has the type and the value of one that is bound', async (_, value) => {
    expect(await asked(toSqlLiteral(value))).toEqual(await asked('$1', [value]))
  })

  test('of a whole number that is too large to be bound is a DOUBLE', async () => {
    expect(await asked(toSqlLiteral(1e300))).toEqual(['DOUBLE', 1e300])
  })

  test('of nothing is NULL', () => {
    expect(toSqlLiteral(null)).toBe('NULL')
  })
})
