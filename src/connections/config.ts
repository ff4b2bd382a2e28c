/** A gateway's `connection`, checked and with its paths resolved. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { MillraceError, nearest } from '../errors.ts'

export const CONNECTION_TYPES = ['duckdb', 'motherduck', 'ducklake', 'quack'] as const
export type ConnectionType = (typeof CONNECTION_TYPES)[number]

/** Leases at once in one process, when `concurrent_tasks` is not given. */
const DEFAULT_CONCURRENT_TASKS = 8

export interface ExtensionConfig {
  name: string
  /** Where to install it from; null for DuckDB's own repository. */
  repository: string | null
}

interface SharedConfig {
  /** The project's folder, absolute: relative paths in SQL are relative to it. */
  root: string
  /** Leases at once in one process. Default 8. */
  concurrentTasks: number
  /** DuckDB settings (`connector_config`) as text, names in lower case, folders absolute. */
  settings: Readonly<Record<string, string>>
  extensions: readonly ExtensionConfig[]
  extensionDirectory: string | null
  /** As written; null when absent. */
  catalogs: unknown
  secrets: unknown
  pool: unknown
  /** Keys that mean something to SQLMesh and nothing here. */
  ignored: readonly string[]
}

export interface DuckDBConfig extends SharedConfig {
  type: 'duckdb'
  /** Absolute path of the file; null for a database in memory. */
  database: string | null
}

/** A type that is read but cannot be leased yet. */
export interface RemoteConfig extends SharedConfig {
  type: Exclude<ConnectionType, 'duckdb'>
  /** The type's own keys as written. */
  options: Readonly<Record<string, unknown>>
}

export type ConnectionConfig = DuckDBConfig | RemoteConfig

export interface ConnectionContext {
  /** The project's folder. */
  root: string
  env: Record<string, string | undefined>
}

/**
 * @param raw as in config.yaml, environment variables already replaced.
 * @throws MillraceError CONFIG for unknown keys (the known ones are listed) and wrong values.
 */
export function parseConnection(raw: Record<string, unknown>, context: ConnectionContext): ConnectionConfig {
  const written = withType(raw)
  const type = written.type
  const own = OWN_KEYS[type]
  assertKnownKeys(written.keys, type, own)
  const values = parseValues(written.keys)
  const toPath = (path: string) => resolvePath(path, context)
  const shared: SharedConfig = {
    root: resolve(context.root),
    concurrentTasks: values.concurrent_tasks,
    settings: normalizeSettings(values.connector_config, toPath),
    extensions: values.extensions,
    extensionDirectory: values.extension_directory === null ? null : toPath(values.extension_directory),
    catalogs: unlessEmpty(written.keys['catalogs']),
    secrets: unlessEmpty(written.keys['secrets']),
    pool: unlessEmpty(written.keys['pool']),
    ignored: IGNORED_KEYS.filter((key) => key in written.keys),
  }
  if (type !== 'duckdb') {
    return { type, ...shared, options: Object.fromEntries(own.flatMap((key) => (key in raw ? [[key, raw[key]]] : []))) }
  }
  const inMemory = values.database === '' || values.database.startsWith(':memory:')
  return { type, ...shared, database: inMemory ? null : toPath(values.database) }
}

const SHARED_KEYS = [
  'type',
  'concurrent_tasks',
  'connector_config',
  'catalogs',
  'extensions',
  'extension_directory',
  'secrets',
  'pool',
]

const OWN_KEYS: Record<ConnectionType, readonly string[]> = {
  duckdb: ['database'],
  motherduck: [
    'database',
    'token',
    'attach_mode',
    'saas_mode',
    'session_name',
    'session_hint',
    'access_mode',
    'dbinstance_inactivity_ttl',
    'custom_user_agent',
  ],
  ducklake: ['catalog', 'data_path', 'database', 'encrypted', 'data_inlining_row_limit', 'metadata_schema'],
  quack: ['uri', 'token', 'database'],
}

const IGNORED_KEYS = [
  'register_comments',
  'pre_ping',
  'pretty_sql',
  'schema_differ_overrides',
  'catalog_type_overrides',
  'filesystems',
  'display_name',
]

/** Settings whose value is a folder. */
const FOLDER_SETTINGS = new Set(['temp_directory', 'extension_directory', 'secret_directory', 'home_directory'])

/** DuckDB's second names of settings, so that two spellings are one configuration. */
const SETTING_ALIASES: Record<string, string> = {
  max_memory: 'memory_limit',
  worker_threads: 'threads',
  wal_autocheckpoint: 'checkpoint_threshold',
  null_order: 'default_null_order',
  user: 'username',
}

const setting = z.union([z.string(), z.number(), z.boolean()])
const extension = z.union([
  z.string().transform((name) => ({ name, repository: null })),
  z
    .strictObject({ name: z.string(), repository: z.string().nullish(), force_install: z.boolean().optional() })
    .transform(({ name, repository }) => ({ name, repository: repository ?? null })),
])

const valuesSchema = z.object({
  concurrent_tasks: z.coerce.number().int().min(1).max(10_000).default(DEFAULT_CONCURRENT_TASKS),
  connector_config: z.record(z.string(), setting).nullish(),
  extensions: z.array(extension).default([]),
  extension_directory: z.string().nullable().default(null),
  database: z
    .string()
    .nullish()
    .transform((name) => name ?? ''),
})

/** `type: duckdb, database: md:…` is MotherDuck, as SQLMesh has it. */
function withType(raw: Record<string, unknown>): { type: ConnectionType; keys: Record<string, unknown> } {
  const written = raw['type'] ?? 'duckdb'
  const name = typeof written === 'string' ? written.toLowerCase() : ''
  const type = CONNECTION_TYPES.find((known) => known === name)
  if (type === undefined) {
    const near = nearest(name, CONNECTION_TYPES)
    throw new MillraceError(
      'CONFIG',
      `connection.type: expected one of ${CONNECTION_TYPES.join(', ')}; got ${JSON.stringify(written)}`,
      near === null ? {} : { hint: `Did you mean '${near}'?` },
    )
  }
  const database = raw['database']
  const motherduck = type === 'duckdb' && typeof database === 'string' && /^(md|motherduck):/i.test(database)
  return { type: motherduck ? 'motherduck' : type, keys: raw }
}

function assertKnownKeys(raw: Record<string, unknown>, type: ConnectionType, own: readonly string[]): void {
  const known = [...SHARED_KEYS, ...own]
  const unknown = Object.keys(raw).filter((key) => !known.includes(key) && !IGNORED_KEYS.includes(key))
  const [first] = unknown
  if (first === undefined) return
  const near = nearest(first, known)
  throw new MillraceError(
    'CONFIG',
    `connection: a connection of type ${type} has no key ${unknown.map((key) => `'${key}'`).join(', ')}; ` +
      `the known keys are ${known.join(', ')}`,
    near === null ? {} : { hint: `Did you mean '${near}'?` },
  )
}

function parseValues(raw: Record<string, unknown>): z.infer<typeof valuesSchema> {
  const parsed = valuesSchema.safeParse(raw)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(({ path, message }) => `${['connection', ...path].join('.')}: ${message}`)
  throw new MillraceError('CONFIG', problems.join('; '))
}

function normalizeSettings(
  raw: Record<string, string | number | boolean> | null | undefined,
  toPath: (path: string) => string,
): Record<string, string> {
  const settings: Record<string, string> = {}
  for (const [written, value] of Object.entries(raw ?? {})) {
    const lower = written.toLowerCase()
    const name = SETTING_ALIASES[lower] ?? lower
    settings[name] = FOLDER_SETTINGS.has(name) ? toPath(String(value)) : String(value)
  }
  return settings
}

function resolvePath(path: string, { root, env }: ConnectionContext): string {
  if (path === '~' || /^~[/\\]/.test(path)) return join(env['HOME'] ?? homedir(), path.slice(1))
  return resolve(root, path)
}

/** `catalogs: {}` asks for nothing. */
function unlessEmpty(value: unknown): unknown {
  if (value === undefined || value === null) return null
  return typeof value === 'object' && Object.keys(value).length === 0 ? null : value
}
