/** What a unit test of a model is once it is loaded from `tests/`. */
import type { VariableValue } from '../../sql/variable-value.ts'

/** A date or timestamp that stands in the YAML without quotes; between quotes it is a string. */
export class PlainTime {
  readonly text: string
  readonly type: 'DATE' | 'TIMESTAMP' | 'TIMESTAMPTZ'
  constructor(text: string, type: PlainTime['type']) {
    this.text = text
    this.type = type
  }
}

export type TestValue =
  | null
  | string
  | number
  | bigint
  | boolean
  | PlainTime
  | TestValue[]
  | { [key: string]: TestValue }

/** A row: lower-case column → value. */
export type TestRow = Readonly<Record<string, TestValue>>

/** Where rows come from. Settings of a CSV file are pandas', as in a seed. */
export type RowSource =
  | { type: 'rows'; rows: readonly TestRow[] }
  | { type: 'query'; sql: string }
  | { type: 'csv'; text: string | null; path: string | null; settings: Record<string, string | boolean> }

export interface TestInput {
  /** Types that the test itself gives, by lower-case column. */
  columns: Record<string, string>
  source: RowSource
}

export interface TestOutput {
  source: RowSource
  /** Only the columns that are named are compared. */
  partial: boolean
  line: number
}

export interface UnitTest {
  name: string
  /** Normalized; it may be no model of the project. */
  model: string
  description: string | null
  /** By normalized name of the model or external table. */
  inputs: Record<string, TestInput>
  /** Of the whole query; null when only common table expressions are tested. */
  query: TestOutput | null
  /** By lower-case name. */
  ctes: Record<string, TestOutput>
  /** Epoch ms, half-open; the first day of 1970 unless the test says otherwise. */
  interval: readonly [number, number]
  /** Epoch ms; null when the test does not say, then no time is frozen. */
  executionMs: number | null
  variables: Record<string, VariableValue>
  /** Schema of the input tables; null for one of the test's own. */
  schema: string | null
  file: string
  line: number
}
