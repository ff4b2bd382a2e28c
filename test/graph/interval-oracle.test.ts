import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../src/errors.ts'
import type { Interval } from '../../src/graph/intervals.ts'
import { batches, mergeIntervals, missingIntervals, shrinkToUnits } from '../../src/graph/intervals.ts'
import { isDate, parseTime, toTs } from '../../src/graph/time.ts'
import type { Model } from '../../src/project/model.ts'
import { parseModelFile } from '../../src/project/parse-model.ts'

type Range = [start: string, end: string]

interface OracleCase {
  name: string
  /** Properties of a MODEL header. */
  props: string
  start: string
  end: string
  execution_time: string
  existing: Range[]
  ignore_cron: boolean
  end_bounded: boolean
  interval_unit?: string
  stored?: Range[]
  missing_count?: number
  /** All of them, or the first and the last three. */
  missing?: Range[]
  merged?: Range[]
  error?: string
}

const path = fileURLToPath(new URL('../oracles/interval.json', import.meta.url))
const cases = JSON.parse(readFileSync(path, 'utf8')) as OracleCase[]

describe('intervals are those of SQLMesh', () => {
  test.each(cases.filter((one) => one.error === undefined))('$name', (one) => {
    const { unit, stored, missing } = solve(one)
    expect(unit).toBe(one.interval_unit)
    expect(stored.map(toRange)).toEqual(one.stored)
    expect(missing).toHaveLength(one.missing_count ?? -1)
    const shown = one.missing ?? []
    const listed = missing.length > shown.length ? [...missing.slice(0, 3), ...missing.slice(-3)] : missing
    expect(listed.map(toRange)).toEqual(shown)
    expect(batches(missing, null).map(toRange)).toEqual(one.merged)
  })

  test.each(cases.filter((one) => one.error !== undefined))('$name: an error', (one) => {
    if (one.error?.startsWith('FileNotFoundError')) {
      // Whether a seed's file is there is checked where the project is loaded; here it is what makes the case an error.
      const { kind } = parse(one.props)
      expect(kind.path).toBeDefined()
      expect(existsSync(new URL(kind.path ?? '', import.meta.url))).toBe(false)
    } else {
      expect(() => solve(one)).toThrow(MillraceError)
      const [, invalidCron] = /^ConfigError: (?:Invalid cron|Cron) '([^']*)'/.exec(one.error ?? '') ?? []
      expect(() => solve(one)).toThrow(`ron '${invalidCron}'`)
    }
  })
})

function solve(one: OracleCase): { unit: string; stored: Interval[]; missing: Interval[] } {
  const { kind, interval_unit, ...model } = parse(one.props)
  const now = parseTime(one.execution_time, 'start', 0)
  const range = (start: string, end: string) => ({
    start: parseTime(start, 'start', now),
    end: parseTime(end, 'end', now),
  })
  const existing = one.existing.map(([start, end]) =>
    shrinkToUnits(range(start, end), interval_unit, model.allow_partials),
  )
  const stored = mergeIntervals(existing.filter((interval) => interval !== null))
  const missing = missingIntervals(
    {
      kind: kind.name,
      cron: model.cron,
      cron_tz: model.cron_tz,
      interval_unit,
      start: model.start === null ? null : parseTime(model.start, 'start', now),
      end: model.end === null ? null : parseTime(model.end, 'end', now),
      lookback: kind.lookback ?? 0,
      allow_partials: model.allow_partials,
    },
    { ...range(one.start, one.end), now, ignoreCron: one.ignore_cron, endIsDate: isDate(one.end) },
    stored,
  )
  return { unit: interval_unit, stored, missing }
}

function parse(props: string): Model {
  const query = props.includes('kind SEED') ? '' : "SELECT 1 AS a, DATE '2024-01-01' AS ds"
  const model = parseModelFile(`MODEL (name t.m, ${props});\n${query}`, {
    file: 'models/m.sql',
    defaults: { dialect: 'duckdb' },
    defaultCatalog: null,
    inferNames: false,
    timeColumnFormat: '%Y-%m-%d',
    variables: {},
  })
  if (model === null) throw new Error('the header was not read')
  return model
}

function toRange({ start, end }: Interval): Range {
  return [toTs(start), toTs(end)]
}
