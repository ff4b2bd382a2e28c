/** What may stand in config.yaml: our keys with their types, SQLMesh's that mean nothing here, and the errors for the rest. */
import { z } from 'zod'
import { MillraceError, nearest, type ErrorCode, type SourceLocation } from '../errors.ts'
import type { VariableValue } from '../sql/macros.ts'
import { describe, isData, type ConfigData } from './config-source.ts'
import { createIgnore } from './ignore-patterns.ts'
import type { DataPath } from './yaml-file.ts'

const variables = z.record(z.string(), z.custom<VariableValue>())
const data = z.record(z.string(), z.unknown())

const gatewaySchema = z.strictObject({
  connection: data.optional(),
  variables: variables.default({}),
  model_defaults: data.default({}),
})

/** config.yaml once its single gateway has a name and its ignored keys are gone. */
export const configSchema = z.strictObject({
  project: z.string().min(1).optional(),
  gateways: z.record(z.string(), gatewaySchema).default({}),
  default_gateway: z.string().optional(),
  default_connection: data.optional(),
  model_defaults: data.default({}),
  variables: variables.default({}),
  model_naming: z.strictObject({ infer_names: z.boolean().default(false) }).default({ infer_names: false }),
  time_column_format: z
    .string()
    .refine((format) => format.includes('%'), { error: "a strftime format with % directives, such as '%Y-%m-%d'" })
    .default('%Y-%m-%d'),
  ignore_patterns: z.array(z.string().refine(isPattern, { error: 'a glob pattern' })).default(['.ipynb_checkpoints/*']),
  before_all: z.array(z.string()).default([]),
  after_all: z.array(z.string()).default([]),
  env_vars: data.optional(),
})
export type ConfigShape = z.infer<typeof configSchema>

/** SQLMesh's keys without meaning here. */
const IGNORED_KEYS: ReadonlySet<string> = new Set([
  'auto_categorize_changes',
  'cache_dir',
  'cicd_bot',
  'dbt',
  'default_scheduler',
  'default_target_environment',
  'default_test_connection',
  'disable_anonymized_analytics',
  'environment_catalog_mapping',
  'environment_suffix_target',
  'environment_ttl',
  'format',
  'gateway_managed_virtual_layer',
  'include_unmodified',
  'infer_python_dependencies',
  'janitor',
  'linter',
  'loader',
  'loader_kwargs',
  'log_limit',
  'migration',
  'notification_targets',
  'physical_schema_mapping',
  'physical_schema_override',
  'physical_table_naming_convention',
  'pinned_environments',
  'plan',
  'run',
  'snapshot_ttl',
  'ui',
  'username',
  'users',
  'virtual_environment_mode',
])
const IGNORED_GATEWAY_KEYS: ReadonlySet<string> = new Set([
  'scheduler',
  'state_connection',
  'state_schema',
  'test_connection',
])
/** Every key a gateway may have, for telling one gateway from several. */
export const GATEWAY_KEYS: ReadonlySet<string> = new Set([...Object.keys(gatewaySchema.shape), ...IGNORED_GATEWAY_KEYS])

/** Whether nothing below these keys of config.yaml has a meaning here. */
export function isIgnoredPath(keys: readonly string[]): boolean {
  const [top = '', ...below] = keys
  if (top === 'gateways' || top === 'gateway') return below.slice(0, 2).some((key) => IGNORED_GATEWAY_KEYS.has(key))
  return IGNORED_KEYS.has(top)
}

/** Leaves out the keys without meaning, whose paths it adds to `ignored`, and those without a value. */
export function withoutIgnored(config: ConfigData, ignored: string[]): ConfigData {
  const kept = strip(config, IGNORED_KEYS, '', ignored)
  if (!isData(kept['gateways'])) return kept
  const gateways = Object.entries(kept['gateways']).map(([name, gateway]) => [
    name,
    isData(gateway) ? strip(gateway, IGNORED_GATEWAY_KEYS, `gateways.${name}.`, ignored) : gateway,
  ])
  return { ...kept, gateways: Object.fromEntries(gateways) as ConfigData }
}

function strip(from: ConfigData, keys: ReadonlySet<string>, prefix: string, ignored: string[]): ConfigData {
  ignored.push(
    ...Object.keys(from)
      .filter((key) => keys.has(key))
      .map((key) => prefix + key),
  )
  return Object.fromEntries(Object.entries(from).filter(([key, value]) => !keys.has(key) && value !== null))
}

export interface IssueContext {
  schema: z.ZodType
  value: unknown
  locate: (path: DataPath) => SourceLocation
  /** Default CONFIG. */
  code?: ErrorCode
}

/** Zod's findings as errors with a place, in our words. */
export function toProblems(issues: readonly z.core.$ZodIssue[], context: IssueContext): MillraceError[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...path, key], context))
    const expected = issue.code === 'invalid_type' ? (TYPE_WORDS[issue.expected] ?? issue.expected) : bound(issue)
    // What stands in a connection may be a secret.
    const value = valueAt(context.value, path)
    const got =
      path.includes('connection') || path.includes('default_connection') ? describeType(value) : describe(value)
    return [
      new MillraceError(
        context.code ?? 'CONFIG',
        `expected '${dotted(path)}' to be ${expected}, got ${got}`,
        context.locate(path),
      ),
    ]
  })
}

function unknownKey(path: (string | number)[], { schema, locate }: IssueContext): MillraceError {
  const key = String(path.at(-1))
  const parents = path.slice(0, -1)
  const known = knownKeys(schema, parents)
  const ignored =
    parents.length === 0 ? IGNORED_KEYS : parents[0] === 'gateways' && parents.length === 2 ? IGNORED_GATEWAY_KEYS : []
  const suggestion = nearest(key, [...known, ...ignored])
  const where = parents.length === 0 ? '' : ` in '${dotted(parents)}'`
  return new MillraceError('CONFIG', `expected a known key${where}, got '${key}'`, {
    ...locate(path),
    hint: `${suggestion === null ? '' : `Did you mean '${suggestion}'? `}Known: ${known.join(', ')}`,
  })
}

function knownKeys(schema: unknown, path: DataPath): string[] {
  let inner = schema
  for (const part of [...path, null]) {
    while (inner instanceof z.ZodDefault || inner instanceof z.ZodOptional) inner = inner.unwrap()
    if (part === null) break
    if (inner instanceof z.ZodObject) inner = inner.shape[String(part)]
    else if (inner instanceof z.ZodRecord) inner = inner.valueType
    else if (inner instanceof z.ZodArray) inner = inner.element
  }
  return inner instanceof z.ZodObject ? Object.keys(inner.shape) : []
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: 'text (in quotes, if it looks like something else)',
  boolean: 'true or false',
  number: 'a number',
  int: 'a whole number',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
}

function bound(issue: z.core.$ZodIssue): string {
  if (issue.code === 'too_small')
    return issue.origin === 'string' ? 'text that is not empty' : `at least ${String(issue.minimum)}`
  return issue.message
}

function describeType(value: unknown): string {
  return typeof value === 'string' ? 'text' : typeof value === 'number' ? 'a number' : describe(value)
}

function valueAt(value: unknown, path: DataPath): unknown {
  let found = value
  for (const part of path)
    found = isData(found) || Array.isArray(found) ? (found as ConfigData)[String(part)] : undefined
  return found
}

function dotted(path: DataPath): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`)).join('')
}

function isPattern(pattern: string): boolean {
  try {
    createIgnore([pattern])
    return true
  } catch {
    return false
  }
}
