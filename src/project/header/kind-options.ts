/** The options of kinds: how each is written, and which kind takes which. */
import { assertCron } from '../../graph/cron.ts'
import { isToken } from '../../sql/lexer.ts'
import type { KindName, ModelKind } from '../model.ts'
import { readType } from './columns.ts'
import { checkAt, headerProblem, knownHint } from './header-source.ts'
import type { HeaderValue } from './properties.ts'
import { readTimeColumn } from './time-column.ts'
import {
  readBoolean,
  readChoice,
  readColumn,
  readElements,
  readExpressions,
  readInteger,
  readPairs,
  readRequiredText,
  textOf,
} from './values.ts'

/** The kinds a header may name; EXTERNAL models are declared in external_models.yaml. */
export type HeaderKindName = Exclude<KindName, 'EXTERNAL' | 'AUDIT'>

export interface KindRule {
  options: readonly string[]
  required: readonly string[]
  defaults: Partial<ModelKind>
  /** Options with one possible value. */
  fixed?: Partial<ModelKind>
}

/** Run-time SQL: variables in it are replaced when a step runs, not at load. */
export const RUNTIME_OPTIONS: ReadonlySet<string> = new Set(['when_matched', 'merge_filter'])

const SCHEMA_CHANGES = ['ERROR', 'WARN', 'ALLOW', 'IGNORE'] as const
const CSV_TEXTS = ['delimiter', 'quotechar', 'escapechar', 'lineterminator', 'encoding']
const CSV_FLAGS = ['doublequote', 'skipinitialspace', 'keep_default_na']
const CSV_SETTINGS = [...CSV_TEXTS, ...CSV_FLAGS, 'na_values']

const CHANGES = { on_destructive_change: 'ERROR', on_additive_change: 'ALLOW' }
const INCREMENTAL = [...Object.keys(CHANGES), 'auto_restatement_cron', 'forward_only', 'disable_restatement']
const BATCHED = [...INCREMENTAL, 'batch_size', 'batch_concurrency', 'lookback', 'auto_restatement_intervals']
const MUTABLE = { forward_only: false, disable_restatement: false }
const SCD_NAMES = [
  'unique_key',
  'valid_from_name',
  'valid_to_name',
  'invalidate_hard_deletes',
  'time_data_type',
  'batch_size',
]
const SCD_DEFAULTS: Partial<ModelKind> = {
  ...CHANGES,
  valid_from_name: 'valid_from',
  valid_to_name: 'valid_to',
  invalidate_hard_deletes: false,
  time_data_type: 'TIMESTAMP',
  forward_only: true,
  disable_restatement: true,
}
const SCD_BY_TIME: KindRule = {
  options: [...INCREMENTAL, ...SCD_NAMES, 'updated_at_name', 'updated_at_as_valid_from'],
  required: ['unique_key'],
  defaults: { ...SCD_DEFAULTS, updated_at_name: 'updated_at', updated_at_as_valid_from: false },
}

export const KIND_RULES: Readonly<Record<HeaderKindName, KindRule>> = {
  FULL: { options: [], required: [], defaults: {} },
  VIEW: { options: ['materialized'], required: [], defaults: { materialized: false } },
  EMBEDDED: { options: [], required: [], defaults: {} },
  SEED: { options: ['path', 'batch_size', 'csv_settings'], required: ['path'], defaults: { batch_size: 1000 } },
  INCREMENTAL_BY_TIME_RANGE: {
    options: ['time_column', ...BATCHED, 'partition_by_time_column'],
    required: ['time_column'],
    defaults: { ...CHANGES, ...MUTABLE, partition_by_time_column: true },
  },
  INCREMENTAL_BY_UNIQUE_KEY: {
    options: ['unique_key', 'when_matched', 'merge_filter', ...BATCHED],
    required: ['unique_key'],
    defaults: { ...CHANGES, ...MUTABLE },
    fixed: { batch_concurrency: 1 },
  },
  INCREMENTAL_BY_PARTITION: {
    options: INCREMENTAL,
    required: [],
    defaults: { ...CHANGES, disable_restatement: false },
    fixed: { forward_only: true },
  },
  INCREMENTAL_UNMANAGED: {
    options: [...INCREMENTAL, 'insert_overwrite'],
    required: [],
    defaults: { ...CHANGES, insert_overwrite: false, forward_only: true, disable_restatement: true },
  },
  SCD_TYPE_2: SCD_BY_TIME,
  SCD_TYPE_2_BY_TIME: SCD_BY_TIME,
  SCD_TYPE_2_BY_COLUMN: {
    options: [...INCREMENTAL, ...SCD_NAMES, 'columns', 'execution_time_as_valid_from', 'updated_at_name'],
    required: ['unique_key', 'columns'],
    defaults: { ...SCD_DEFAULTS, execution_time_as_valid_from: false },
  },
}

/** @param timeColumnFormat the project's format for a time column without one. */
export function readKindOption(value: HeaderValue, timeColumnFormat: string): Partial<ModelKind> {
  const { key } = value
  switch (key) {
    case 'time_column':
      return { time_column: readTimeColumn(value, timeColumnFormat) }
    case 'batch_size':
    case 'batch_concurrency':
    case 'auto_restatement_intervals':
      return { [key]: readInteger(value, 1) }
    case 'lookback':
      return { lookback: readInteger(value, 0) }
    case 'on_destructive_change':
    case 'on_additive_change':
      return { [key]: readChoice(value, SCHEMA_CHANGES) }
    case 'auto_restatement_cron':
      return { auto_restatement_cron: readCron(value) }
    case 'path':
      return { path: readRequiredText(value) }
    case 'csv_settings':
      return { csv_settings: readCsvSettings(value) }
    case 'unique_key':
      return { unique_key: readSomeExpressions(value) }
    case 'columns':
      return { columns: isStar(value) ? '*' : readSomeExpressions(value) }
    case 'when_matched':
    case 'merge_filter':
      return { [key]: textOf(value.source, value.tokens) }
    case 'valid_from_name':
    case 'valid_to_name':
    case 'updated_at_name':
      return { [key]: readColumn(value) }
    case 'time_data_type':
      return { time_data_type: readType(value) }
    default:
      return { [key]: readBoolean(value) }
  }
}

function readCron(value: HeaderValue): string {
  const cron = readRequiredText(value)
  checkAt(value.source, value.tokens[0] ?? value.at, () => assertCron(cron, null, true))
  return cron
}

function readSomeExpressions(value: HeaderValue): string[] {
  const expressions = readExpressions(value)
  if (expressions.length > 0) return expressions
  throw headerProblem(value.source, value.at, `expected at least one column for '${value.key}'; got an empty list`)
}

function isStar(value: HeaderValue): boolean {
  const [element, ...others] = readElements(value)
  const [token, ...more] = element?.tokens ?? []
  return (
    others.length === 0 &&
    more.length === 0 &&
    (isToken(token, '*') || (token?.type === 'string' && token.value === '*'))
  )
}

/** `na_values` stays SQL text, e.g. `('NA', '-')`; the others are plain values. */
function readCsvSettings(value: HeaderValue): Record<string, string | boolean> {
  const settings: Record<string, string | boolean> = {}
  for (const [written, setting] of readPairs(value)) {
    const key = written.toLowerCase()
    if (CSV_FLAGS.includes(key)) settings[key] = readBoolean(setting)
    else if (key === 'na_values') settings[key] = textOf(setting.source, setting.tokens)
    else if (CSV_TEXTS.includes(key)) settings[key] = readRequiredText(setting)
    else {
      const hint = knownHint(key, CSV_SETTINGS)
      throw headerProblem(value.source, setting.at, `expected a setting of csv_settings; '${written}' is none`, hint)
    }
  }
  return settings
}
