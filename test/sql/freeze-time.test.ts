import { expect, test } from 'vitest'
import { freezeTime } from '../../src/sql/freeze-time.ts'

const NOW = Date.UTC(2024, 1, 3, 4, 5, 6)

test('what asks for the time becomes a literal in UTC, the rest stays as written', () => {
  expect(freezeTime('SELECT CURRENT_DATE, now() - x -- now()', NOW)).toBe(
    "SELECT CAST('2024-02-03' AS DATE), CAST('2024-02-03 04:05:06.000+00' AS TIMESTAMPTZ) - x -- now()",
  )
  expect(freezeTime('SELECT today(), current_timestamp::DATE, current_localtimestamp ( )', NOW)).toBe(
    "SELECT CAST('2024-02-03' AS DATE), CAST('2024-02-03 04:05:06.000+00' AS TIMESTAMPTZ)::DATE, CAST('2024-02-03 04:05:06.000' AS TIMESTAMP)",
  )
})

test('columns, aliases and strings of such names are left alone', () => {
  const sql = `SELECT t.current_date, now, today, 'now()', "current_date", 1 AS current_time FROM t`
  expect(freezeTime(sql, NOW)).toBe(sql)
})
