/**
 * Hashes of what a model is. The data hash covers what decides a model's rows, the metadata hash everything else people declare.
 * Formats are kept for ever: a state made with an older format is compared in that format, so that a new Millrace
 * never rebuilds a warehouse because it hashes differently.
 */
import { createHash } from 'node:crypto'
import { tokenize } from '../sql/lexer.ts'
import { usedVariables, type VariableValue } from '../sql/macros.ts'
import { kindStatements, type AuditDefinition, type Model, type ModelKind, type SqlText } from './model.ts'

export const FINGERPRINT_FORMAT = 1

type DataHash = (model: Model, variables: Record<string, VariableValue>) => string

const FORMATS: Record<number, DataHash> = { 1: dataHashV1 }

/**
 * Hash of the properties that decide a model's data. Comments, white space and the case of words do not count.
 * @param format one that {@link isKnownFormat} accepts.
 */
export function dataHash(model: Model, variables: Record<string, VariableValue>, format = FINGERPRINT_FORMAT): string {
  const hash = FORMATS[format]
  if (hash === undefined) throw new RangeError(`unknown fingerprint format ${format}`)
  return hash(model, variables)
}

export function isKnownFormat(format: number): boolean {
  return FORMATS[format] !== undefined
}

/** Hash of what a change of needs no rebuild: owner, tags, audits, dates, descriptions, batch sizes. */
export function metadataHash(model: Model, audits: readonly AuditDefinition[]): string {
  const { cron, cron_tz, start, end, allow_partials, owner, tags, description, column_descriptions } = model
  const { grains, references, signals, enabled } = model
  const { batch_size, batch_concurrency } = model.kind
  return sha256({
    cron,
    cron_tz,
    start,
    end,
    allow_partials,
    owner,
    tags,
    description,
    column_descriptions,
    grains,
    references,
    signals,
    enabled,
    batch_size,
    batch_concurrency,
    audits: model.audits.map(({ name, args, blocking }) => ({ name, args, blocking })),
    definitions: audits.map(({ name, query, blocking, skip, defaults }) => [
      name,
      normalize(query),
      blocking,
      skip,
      defaults,
    ]),
    onVirtualUpdate: model.on_virtual_update.map(normalize),
  })
}

/** SHA-256 of a value's canonical JSON (keys sorted, undefined left out), in hex. */
export function sha256(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex')
}

/** Options of a kind that change how it is built, but not what it holds. */
const NOT_DATA = new Set<keyof ModelKind>([
  'batch_size',
  'batch_concurrency',
  'on_destructive_change',
  'on_additive_change',
  'auto_restatement_cron',
  'auto_restatement_intervals',
  'disable_restatement',
])

function dataHashV1(model: Model, variables: Record<string, VariableValue>): string {
  const kind = Object.entries(model.kind).filter(([option]) => !NOT_DATA.has(option as keyof ModelKind))
  const statements = [...model.pre, ...(model.query === null ? [] : [model.query]), ...model.post]
  const texts = [...statements.map(({ text }) => text), ...kindStatements(model.kind)]
  const used = new Set(texts.flatMap((text) => [...usedVariables(text)]))
  return sha256({
    name: model.name,
    kind: Object.fromEntries(kind),
    query: model.query === null ? null : normalize(model.query),
    pre: model.pre.map(normalize),
    post: model.post.map(normalize),
    variables: Object.fromEntries([...used].map((name) => [name, variables[name] ?? null])),
    columns: model.columns,
    partitioned_by: model.partitioned_by,
    clustered_by: model.clustered_by,
    interval_unit: model.interval_unit,
    stamp: model.stamp,
    gateway: model.gateway,
    storage_format: model.storage_format,
    table_format: model.table_format,
    physical_properties: model.physical_properties,
    physical_version: model.physical_version,
    // Undefined, and so left out, where no macro asks for columns.
    read_columns: model.read_columns,
  })
}

function normalize({ text }: SqlText): string {
  return tokenize(text)
    .filter((token) => token.type !== 'comment')
    .map((token) => (token.type === 'word' || token.type === 'macro' ? token.text.toLowerCase() : token.text))
    .join(' ')
}

function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  )
}
