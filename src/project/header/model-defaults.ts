/** `model_defaults` of the config file: what headers leave out. */
import { z } from 'zod'
import { MillraceError } from '../../errors.ts'
import { quoteString } from '../../sql/identifiers.ts'
import { INTERVAL_UNITS } from '../model.ts'
import { knownHint } from './header-source.ts'

const scalar = z.union([z.string(), z.number()]).transform(String)
const flag = z.union([
  z.boolean(),
  z
    .string()
    .regex(/^(true|false)$/i, 'expected true or false')
    .transform((text) => text.toLowerCase() === 'true'),
])
const schemaChange = z
  .string()
  .transform((text) => text.toUpperCase())
  .pipe(z.enum(['ERROR', 'WARN', 'ALLOW', 'IGNORE']))
const statements = z.union([z.string().transform((text) => [text]), z.array(z.string())])
const properties = z
  .record(z.string(), z.unknown())
  .transform((values) =>
    Object.fromEntries(
      Object.entries(values).flatMap(([key, value]) => (value === null ? [] : [[key, toSql(value)] as const])),
    ),
  )

const shape = {
  kind: z.union([z.string(), z.looseObject({ name: z.string() })]).transform(toKindText),
  dialect: z.string(),
  cron: z.string(),
  cron_tz: z.string(),
  gateway: z.string(),
  owner: z.string(),
  start: scalar,
  table_format: z.string(),
  storage_format: z.string(),
  on_destructive_change: schemaChange,
  on_additive_change: schemaChange,
  physical_properties: properties,
  virtual_properties: properties,
  session_properties: properties,
  audits: statements,
  optimize_query: flag,
  allow_partials: flag,
  interval_unit: z
    .string()
    .transform((text) => text.toLowerCase())
    .pipe(z.enum(INTERVAL_UNITS)),
  enabled: flag,
  formatting: flag,
  batch_concurrency: z.int().min(1),
  pre_statements: statements,
  post_statements: statements,
  on_virtual_update: statements,
}

/**
 * The block as written in YAML → ModelDefaults. `kind` becomes the text a header would hold, property values SQL text,
 * a lone statement or audit a list. Keys with null are left out; an unknown key is a problem that lists the known ones.
 */
export const modelDefaultsSchema = z.preprocess(
  withoutNulls,
  z.strictObject(shape, { error: explainUnknownKeys }).partial(),
)
export type ModelDefaults = z.output<typeof modelDefaultsSchema>

/** @throws MillraceError CONFIG with the key that is wrong; no place, the caller knows the file. */
export function parseModelDefaults(raw: unknown): ModelDefaults {
  const parsed = modelDefaultsSchema.safeParse(raw)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const key = ['model_defaults', ...(issue?.path ?? [])].join('.')
  throw new MillraceError('CONFIG', `${key}: ${issue?.message ?? 'expected a mapping'}`, {
    hint: 'see model_defaults in the config file',
  })
}

/** SQL text of a YAML value: text quoted, lists in brackets. */
function toSql(value: unknown): string {
  if (Array.isArray(value)) return `(${value.map(toSql).join(', ')})`
  if (typeof value === 'boolean' || value === null) return String(value).toUpperCase()
  if (typeof value === 'number') return String(value)
  return quoteString(typeof value === 'string' ? value : JSON.stringify(value))
}

/** `{ name: x, time_column: ds }` → `x (time_column 'ds')`, as a header would say it. */
function toKindText(kind: string | { name: string; [option: string]: unknown }): string {
  if (typeof kind === 'string') return kind
  const { name, ...options } = kind
  const written = Object.entries(options).flatMap(([option, value]) =>
    value === null ? [] : [`${option} ${optionText(value)}`],
  )
  return written.length === 0 ? name : `${name} (${written.join(', ')})`
}

function optionText(value: unknown): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return toSql(value)
  if ('column' in value) {
    const { column, format } = value as { column: unknown; format?: unknown }
    return format === undefined ? toSql(column) : `(${toSql(column)}, ${toSql(format)})`
  }
  return `(${Object.entries(value)
    .map(([key, setting]) => `${quoteString(key)} = ${toSql(setting)}`)
    .join(', ')})`
}

function withoutNulls(raw: unknown): unknown {
  if (raw === null || raw === undefined) return {}
  if (typeof raw !== 'object' || Array.isArray(raw)) return raw
  return Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null))
}

function explainUnknownKeys(issue: { code?: string; keys?: unknown }): string | undefined {
  if (issue.code !== 'unrecognized_keys' || !Array.isArray(issue.keys)) return undefined
  const [key] = issue.keys.map(String)
  return key === undefined ? undefined : `'${key}' is no key of model_defaults. ${knownHint(key, Object.keys(shape))}`
}
