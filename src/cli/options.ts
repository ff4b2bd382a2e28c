/** The command line, parsed: options are shared by all verbs, a PROJECT may come first. */
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { MillraceError, nearest } from '../errors.ts'
import { ON_CONFLICT, type OnConflict } from '../payloads.ts'

const OPTIONS = {
  address: { type: 'string' },
  adopt: { type: 'boolean' },
  auto: { type: 'boolean' },
  'catch-up': { type: 'string' },
  cron: { type: 'string', multiple: true },
  detach: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  end: { type: 'string' },
  environment: { type: 'string' },
  every: { type: 'string' },
  exclude: { type: 'string' },
  'execution-time': { type: 'string' },
  'fail-fast': { type: 'boolean' },
  fix: { type: 'boolean' },
  file: { type: 'string' },
  format: { type: 'string' },
  'full-refresh': { type: 'boolean' },
  gateway: { type: 'string' },
  grace: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  jitter: { type: 'string' },
  'include-ctes': { type: 'boolean' },
  json: { type: 'boolean' },
  keep: { type: 'boolean' },
  limit: { type: 'string' },
  'lock-timeout': { type: 'string' },
  'log-format': { type: 'string' },
  'max-parallel': { type: 'string' },
  metrics: { type: 'string' },
  name: { type: 'string' },
  namespace: { type: 'string' },
  'no-fail-fast': { type: 'boolean' },
  note: { type: 'string' },
  offset: { type: 'string' },
  'on-conflict': { type: 'string' },
  overlap: { type: 'string' },
  overwrite: { type: 'boolean' },
  path: { type: 'string' },
  'pause-on-failure': { type: 'boolean' },
  paused: { type: 'boolean' },
  project: { type: 'string' },
  prune: { type: 'boolean' },
  query: { type: 'string', multiple: true },
  quiet: { type: 'boolean', short: 'q' },
  select: { type: 'string' },
  start: { type: 'string' },
  strict: { type: 'boolean' },
  'task-queue': { type: 'string' },
  'time-zone': { type: 'string' },
  var: { type: 'string', multiple: true },
  verbose: { type: 'boolean' },
  version: { type: 'boolean' },
  wait: { type: 'string' },
  watch: { type: 'boolean' },
} satisfies NonNullable<ParseArgsConfig['options']>

/** Null where an option is not given. Times are text, seconds are numbers. */
export interface CliOptions {
  address: string | null
  adopt: boolean
  auto: boolean
  catchUp: string | null
  cron: string[]
  detach: boolean
  dryRun: boolean
  end: string | null
  environment: string
  every: string | null
  exclude: string | null
  executionTime: string | null
  failFast: boolean
  /** `doctor` registers what the server lacks. */
  fix: boolean
  file: string | null
  format: string | null
  fullRefresh: boolean
  gateway: string | null
  /** Default 30. */
  graceSeconds: number
  help: boolean
  /** `create-test` writes the rows of common table expressions too. */
  includeCtes: boolean
  jitter: string | null
  json: boolean
  keep: boolean
  /** Rows that `evaluate` shows; default 1000. */
  limit: number
  /** Default 60. */
  lockTimeoutSeconds: number
  logFormat: string | null
  maxParallel: number | null
  metrics: string | null
  name: string | null
  namespace: string | null
  noFailFast: boolean
  note: string | null
  offset: string | null
  onConflict: OnConflict | null
  overlap: string | null
  overwrite: boolean
  path: string | null
  pauseOnFailure: boolean
  paused: boolean
  project: string | null
  prune: boolean
  /** Name of a model or table → the query that `create-test` takes its rows from. */
  queries: Record<string, string>
  quiet: boolean
  select: string | null
  start: string | null
  /** What could not be found is a failure. */
  strict: boolean
  taskQueue: string | null
  timeZone: string | null
  vars: Record<string, string>
  verbose: boolean
  version: boolean
  /** Default 60. */
  waitSeconds: number
  watch: boolean
}

export interface CommandLine {
  /** Null when only options were given. */
  verb: string | null
  /** What follows the verb. */
  args: string[]
  options: CliOptions
}

/** @throws MillraceError USAGE for an unknown option or a value that is none. */
export function parseCommandLine(argv: readonly string[]): CommandLine {
  const { values, positionals } = parse(argv)
  const [verb = null, ...args] = positionals
  return {
    verb,
    args,
    options: {
      address: values.address ?? null,
      adopt: values.adopt ?? false,
      auto: values.auto ?? false,
      catchUp: values['catch-up'] ?? null,
      cron: values.cron ?? [],
      detach: values.detach ?? false,
      dryRun: values['dry-run'] ?? false,
      end: values.end ?? null,
      environment: values.environment ?? 'prod',
      every: values.every ?? null,
      exclude: values.exclude ?? null,
      executionTime: values['execution-time'] ?? null,
      failFast: values['fail-fast'] ?? false,
      fix: values.fix ?? false,
      file: values.file ?? null,
      format: values.format ?? null,
      fullRefresh: values['full-refresh'] ?? false,
      gateway: values.gateway ?? null,
      graceSeconds: parseNumber('--grace', values.grace, { min: 0, integer: false }) ?? 30,
      help: values.help ?? false,
      includeCtes: values['include-ctes'] ?? false,
      jitter: values.jitter ?? null,
      json: values.json ?? false,
      keep: values.keep ?? false,
      limit: parseNumber('--limit', values.limit, { min: 1, integer: true }) ?? 1000,
      lockTimeoutSeconds: parseNumber('--lock-timeout', values['lock-timeout'], { min: 0, integer: false }) ?? 60,
      logFormat: values['log-format'] ?? null,
      maxParallel: parseNumber('--max-parallel', values['max-parallel'], { min: 1, integer: true }),
      metrics: values.metrics ?? null,
      name: values.name ?? null,
      namespace: values.namespace ?? null,
      noFailFast: values['no-fail-fast'] ?? false,
      note: values.note ?? null,
      offset: values.offset ?? null,
      onConflict: parseOnConflict(values['on-conflict']),
      overlap: values.overlap ?? null,
      overwrite: values.overwrite ?? false,
      path: values.path ?? null,
      pauseOnFailure: values['pause-on-failure'] ?? false,
      paused: values.paused ?? false,
      project: values.project ?? null,
      prune: values.prune ?? false,
      queries: parsePairs('--query', values.query ?? []),
      quiet: values.quiet ?? false,
      select: values.select ?? null,
      start: values.start ?? null,
      strict: values.strict ?? false,
      taskQueue: values['task-queue'] ?? null,
      timeZone: values['time-zone'] ?? null,
      vars: parsePairs('--var', values.var ?? []),
      verbose: values.verbose ?? false,
      version: values.version ?? false,
      waitSeconds: parseNumber('--wait', values.wait, { min: 0, integer: false }) ?? 60,
      watch: values.watch ?? false,
    },
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: joinQueries(argv), options: OPTIONS, allowPositionals: true, strict: true })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const unknown = /Unknown option '(--?[^']+)'/.exec(message)?.[1]
    const known = Object.keys(OPTIONS).map((name) => `--${name}`)
    if (unknown === undefined)
      throw new MillraceError('USAGE', message.split('. ')[0] ?? message, { hint: 'see --help' })
    const near = nearest(unknown, known)
    throw new MillraceError('USAGE', `expected one of the options ${known.join(' ')}; got '${unknown}'`, {
      hint: near === null ? 'see --help' : `Did you mean '${near}'?`,
    })
  }
}

function parseNumber(name: string, text: string | undefined, limits: { min: number; integer: boolean }): number | null {
  if (text === undefined) return null
  const value = Number(text)
  if (text.trim() !== '' && value >= limits.min && (!limits.integer || Number.isInteger(value))) return value
  const what = limits.integer ? 'a whole number' : 'a number of seconds'
  throw new MillraceError('USAGE', `${name}: expected ${what} of at least ${limits.min}; got '${text}'`)
}

function parseOnConflict(text: string | undefined): OnConflict | null {
  if (text === undefined) return null
  const known = ON_CONFLICT.find((candidate) => candidate === text)
  if (known !== undefined) return known
  throw new MillraceError('USAGE', `--on-conflict: expected one of ${ON_CONFLICT.join(', ')}; got '${text}'`)
}

function parsePairs(option: string, texts: readonly string[]): Record<string, string> {
  const pairs: Record<string, string> = {}
  for (const text of texts) {
    const equals = text.indexOf('=')
    if (equals < 1) throw new MillraceError('USAGE', `${option}: expected NAME=VALUE; got '${text}'`)
    pairs[text.slice(0, equals)] = text.slice(equals + 1)
  }
  return pairs
}

/** `--query NAME SQL`, as SQLMesh has it, is `--query NAME=SQL`. */
function joinQueries(argv: readonly string[]): string[] {
  const joined: string[] = []
  for (let at = 0; at < argv.length; at++) {
    const [option = '', name, sql] = argv.slice(at, at + 3)
    const pair = option === '--query' && name !== undefined && sql !== undefined && !name.includes('=')
    joined.push(pair ? `--query=${name}=${sql}` : option)
    if (pair) at += 2
  }
  return joined
}
