import { describe, expect, it } from 'vitest'
import { datePrefix, dateVariables, inclusiveEndUs } from '../../src/sql/date-variables.ts'

const startUs = Date.UTC(2020, 0, 1) * 1000
const executionUs = Date.UTC(2020, 0, 5, 6, 7, 8) * 1000

describe('date variables', () => {
  it('writes a midnight without a fraction', () => {
    expect(dateVariables('start', startUs)).toEqual({
      start_ds: "'2020-01-01'",
      start_date: "CAST('2020-01-01' AS DATE)",
      start_ts: "'2020-01-01 00:00:00'",
      start_tstz: "'2020-01-01 00:00:00+00:00'",
      start_dt: "CAST('2020-01-01 00:00:00+00:00' AS TIMESTAMPTZ)",
      start_dtntz: "CAST('2020-01-01 00:00:00' AS TIMESTAMP)",
      start_epoch: '1577836800.0',
      start_millis: '1577836800000',
      start_hour: '0',
    })
  })

  it('writes the end of an interval as its last microsecond', () => {
    expect(dateVariables('end', inclusiveEndUs(Date.UTC(2020, 0, 3)))).toEqual({
      end_ds: "'2020-01-02'",
      end_date: "CAST('2020-01-02' AS DATE)",
      end_ts: "'2020-01-02 23:59:59.999999'",
      end_tstz: "'2020-01-02 23:59:59.999999+00:00'",
      end_dt: "CAST('2020-01-02 23:59:59.999999+00:00' AS TIMESTAMPTZ)",
      end_dtntz: "CAST('2020-01-02 23:59:59.999999' AS TIMESTAMP)",
      end_epoch: '1578009599.999',
      end_millis: '1578009599999',
      end_hour: '23',
    })
  })

  it('writes the end of hours within a day', () => {
    expect(dateVariables('end', inclusiveEndUs(Date.UTC(2020, 0, 1, 5)))).toMatchObject({
      end_ts: "'2020-01-01 04:59:59.999999'",
      end_hour: '4',
    })
  })

  it('writes the time of execution under both of its names', () => {
    expect(dateVariables('execution', executionUs)).toMatchObject({
      execution_ts: "'2020-01-05 06:07:08'",
      execution_epoch: '1578204428.0',
      execution_hour: '6',
    })
    expect(dateVariables('latest', executionUs)).toMatchObject({ latest_ds: "'2020-01-05'" })
  })

  it('keeps all six digits of a fraction', () => {
    expect(dateVariables('execution', executionUs + 123_000)).toMatchObject({
      execution_ts: "'2020-01-05 06:07:08.123000'",
      execution_epoch: '1578204428.123',
    })
  })

  it('counts down before 1970', () => {
    expect(dateVariables('end', inclusiveEndUs(0))).toMatchObject({
      end_ts: "'1969-12-31 23:59:59.999999'",
      end_millis: '-1',
      end_epoch: '-0.001',
      end_hour: '23',
    })
  })

  it('knows its names from others', () => {
    expect(datePrefix('start_ds')).toBe('start')
    expect(datePrefix('latest_dtntz')).toBe('latest')
    expect(datePrefix('start_day')).toBeNull()
    expect(datePrefix('end')).toBeNull()
  })
})
