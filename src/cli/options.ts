/** The command line, parsed: options are shared by all verbs, a PROJECT may come first. */
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { MillraceError, nearest } from '../errors.ts'

const OPTIONS = {
  address: { type: 'string' },
  adopt: { type: 'boolean' },
  detach: { type: 'boolean' },
  end: { type: 'string' },
  environment: { type: 'string' },
  exclude: { type: 'string' },
  'execution-time': { type: 'string' },
  'fail-fast': { type: 'boolean' },
  format: { type: 'string' },
  'full-refresh': { type: 'boolean' },
  gateway: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  json: { type: 'boolean' },
  keep: { type: 'boolean' },
  'lock-timeout': { type: 'string' },
  'max-parallel': { type: 'string' },
  namespace: { type: 'string' },
  project: { type: 'string' },
  quiet: { type: 'boolean', short: 'q' },
  select: { type: 'string' },
  start: { type: 'string' },
  'task-queue': { type: 'string' },
  var: { type: 'string', multiple: true },
  verbose: { type: 'boolean' },
  version: { type: 'boolean' },
  wait: { type: 'string' },
} satisfies NonNullable<ParseArgsConfig['options']>

/** Null where an option is not given. Times are text, seconds are numbers. */
export interface CliOptions {
  address: string | null
  adopt: boolean
  detach: boolean
  end: string | null
  environment: string
  exclude: string | null
  executionTime: string | null
  failFast: boolean
  format: string | null
  fullRefresh: boolean
  gateway: string | null
  help: boolean
  json: boolean
  keep: boolean
  /** Default 60. */
  lockTimeoutSeconds: number
  maxParallel: number | null
  namespace: string | null
  project: string | null
  quiet: boolean
  select: string | null
  start: string | null
  taskQueue: string | null
  vars: Record<string, string>
  verbose: boolean
  version: boolean
  /** Default 60. */
  waitSeconds: number
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
      detach: values.detach ?? false,
      end: values.end ?? null,
      environment: values.environment ?? 'prod',
      exclude: values.exclude ?? null,
      executionTime: values['execution-time'] ?? null,
      failFast: values['fail-fast'] ?? false,
      format: values.format ?? null,
      fullRefresh: values['full-refresh'] ?? false,
      gateway: values.gateway ?? null,
      help: values.help ?? false,
      json: values.json ?? false,
      keep: values.keep ?? false,
      lockTimeoutSeconds: parseNumber('--lock-timeout', values['lock-timeout'], { min: 0, integer: false }) ?? 60,
      maxParallel: parseNumber('--max-parallel', values['max-parallel'], { min: 1, integer: true }),
      namespace: values.namespace ?? null,
      project: values.project ?? null,
      quiet: values.quiet ?? false,
      select: values.select ?? null,
      start: values.start ?? null,
      taskQueue: values['task-queue'] ?? null,
      vars: parseVars(values.var ?? []),
      verbose: values.verbose ?? false,
      version: values.version ?? false,
      waitSeconds: parseNumber('--wait', values.wait, { min: 0, integer: false }) ?? 60,
    },
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true, strict: true })
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

function parseVars(texts: readonly string[]): Record<string, string> {
  const vars: Record<string, string> = {}
  for (const text of texts) {
    const equals = text.indexOf('=')
    if (equals < 1) throw new MillraceError('USAGE', `--var: expected NAME=VALUE; got '${text}'`)
    vars[text.slice(0, equals)] = text.slice(equals + 1)
  }
  return vars
}
