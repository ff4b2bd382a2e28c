/**
 * What a model is once it is loaded. Header properties keep the header's own spelling (snake_case),
 * because `client.ts models --json` prints them so. Pure.
 */

export const KIND_NAMES = [
  'FULL',
  'VIEW',
  'SEED',
  'EMBEDDED',
  'EXTERNAL',
  'INCREMENTAL_BY_TIME_RANGE',
  'INCREMENTAL_BY_UNIQUE_KEY',
  'INCREMENTAL_BY_PARTITION',
  'INCREMENTAL_UNMANAGED',
  'SCD_TYPE_2',
  'SCD_TYPE_2_BY_TIME',
  'SCD_TYPE_2_BY_COLUMN',
  // A standalone audit of audits/, among the models because it comes after those that it reads.
  'AUDIT',
] as const
export type KindName = (typeof KIND_NAMES)[number]

/** Whether a version of the kind is a table or a view of its own. */
export function hasTable(kind: { name: KindName }): boolean {
  return kind.name !== 'EMBEDDED' && kind.name !== 'EXTERNAL' && kind.name !== 'AUDIT'
}

/** Kinds that load what is new and keep what they have: their queries know the interval, and the ledger each of its units. */
export function hasInterval(kind: { name: KindName }): boolean {
  return kind.name.startsWith('INCREMENTAL_') || kind.name.startsWith('SCD_')
}

/** Whether steps of one version must follow each other: only a time range's batches leave each other's rows alone. */
export function isSerial(kind: { name: KindName }): boolean {
  return kind.name !== 'INCREMENTAL_BY_TIME_RANGE'
}

/** SQL among a kind's options: like the query, it may have macros. */
export function kindStatements({ when_matched, merge_filter }: ModelKind): string[] {
  return [when_matched, merge_filter].filter((text) => text !== undefined)
}

/** Kinds whose rows came about in the order of their intervals: none can be built again without all that came after it. */
export function restatesWhole(kind: { name: KindName }): boolean {
  return hasInterval(kind) && isSerial(kind)
}

export const INTERVAL_UNITS = ['year', 'month', 'day', 'hour', 'half_hour', 'quarter_hour', 'five_minute'] as const
export type IntervalUnit = (typeof INTERVAL_UNITS)[number]

/** A name of one to three parts; DuckDB folds case even of quoted names, so parts are lower case. */
export interface RelationName {
  catalog: string | null
  schema: string | null
  name: string
}

/** A kind and its options in header spelling, defaults filled in, e.g. `{ name: 'INCREMENTAL_BY_TIME_RANGE', time_column: { column, format }, lookback: 1 }`. */
export interface ModelKind {
  name: KindName
  /** INCREMENTAL_BY_TIME_RANGE: unquoted column name; `format` in strftime spelling, default `%Y-%m-%d`. */
  time_column?: { column: string; format: string }
  batch_size?: number
  batch_concurrency?: number
  lookback?: number
  forward_only?: boolean
  disable_restatement?: boolean
  partition_by_time_column?: boolean
  on_destructive_change?: string
  on_additive_change?: string
  auto_restatement_cron?: string
  auto_restatement_intervals?: number
  /** VIEW. */
  materialized?: boolean
  /** SEED: `path` as written; relative to the model's file, or `$root/…`. */
  path?: string
  csv_settings?: Record<string, string | boolean>
  /** Expressions as written. */
  unique_key?: string[]
  when_matched?: string
  merge_filter?: string
  insert_overwrite?: boolean
  valid_from_name?: string
  valid_to_name?: string
  invalidate_hard_deletes?: boolean
  time_data_type?: string
  updated_at_name?: string
  updated_at_as_valid_from?: boolean
  execution_time_as_valid_from?: boolean
  /** AUDIT: what `@name` stands for in its query, by lower-case name. */
  defaults?: Record<string, string>
  /** SCD_TYPE_2_BY_COLUMN: checked columns, or `*`. */
  columns?: string[] | '*'
}

/** A piece of SQL as written, with the line (from 1) of the file it starts at. */
export interface SqlText {
  text: string
  line: number
}

export interface AuditCall {
  name: string
  /** Argument name (lower case) → SQL text as written, e.g. `{ columns: '(a, b)' }`; `blocking` is not among them. */
  args: Record<string, string>
  /** What the call itself says; null when it says nothing. */
  blocking: boolean | null
  /** Whether its bad rows are kept in a table; absent when the call says nothing. */
  keep_failures?: boolean
  /** Its line in the model's file. */
  line: number
}

/** An `AUDIT (…)` block: from `audits/`, or inline in a model's file. */
export interface AuditDefinition {
  name: string
  query: SqlText
  blocking: boolean
  skip: boolean
  standalone: boolean
  /** Default arguments: name → SQL text. */
  defaults: Record<string, string>
  file: string
  line: number
  /** Only of a standalone audit: what else its header says. */
  node?: Pick<Model, 'owner' | 'tags' | 'description' | 'depends_on'>
}

export interface Model {
  /** Normalized name as people write it: lower case, parts joined by `.`, the default catalog left out. */
  name: string
  relation: RelationName
  kind: ModelKind
  cron: string
  cron_tz: string | null
  interval_unit: IntervalUnit
  allow_partials: boolean
  start: string | null
  end: string | null
  owner: string | null
  stamp: string | null
  tags: string[]
  description: string | null
  /** Declared columns: name → DuckDB type as written; null when not declared. */
  columns: Record<string, string> | null
  column_descriptions: Record<string, string>
  grains: string[]
  references: string[]
  audits: AuditCall[]
  signals: string[]
  partitioned_by: string[]
  clustered_by: string[]
  /** Names this model reads (models and externals), itself excluded, sorted; normalized like `name`. A file that is read is listed by its path. */
  depends_on: string[]
  /** What its @STAR and @UNION ask for: name, as in `depends_on` → column → DuckDB type. Absent where they ask nothing. */
  read_columns?: Record<string, Record<string, string>>
  /** Names that its audits read, its own too, sorted: those are built before it, and decide nothing of its rows. */
  audit_depends_on: string[]
  /** The model reads its own table. */
  self_referencing: boolean
  enabled: boolean
  formatting: boolean
  optimize_query: boolean
  ignored_rules: string[]
  gateway: string | null
  storage_format: string | null
  table_format: string | null
  physical_properties: Record<string, string>
  virtual_properties: Record<string, string>
  session_properties: Record<string, string>
  physical_version: string | null
  virtual_environment_mode: string | null
  dialect: string

  /** Null for SEED and EXTERNAL. As written: macros not expanded. A Jinja query keeps its `JINJA_QUERY_BEGIN; … JINJA_END;`. */
  query: SqlText | null
  pre: SqlText[]
  post: SqlText[]
  on_virtual_update: SqlText[]
  inline_audits: AuditDefinition[]

  /** Relative to the project, `/` as separator. */
  file: string
  /** Line of the MODEL keyword. */
  line: number
}
