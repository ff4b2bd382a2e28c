/**
 * Every error a user sees is one of these: a stable code, what was expected, what came, where, what to do.
 * Pure: safe in the workflow sandbox.
 */

/** The stable codes; docs/errors.md explains each. */
export type ErrorCode =
  | 'USAGE' // a command line that cannot be understood
  | 'CONFIG' // config.yaml or millrace.yaml is wrong
  | 'PROJECT' // several problems of a project at once
  | 'MODEL' // a MODEL header or its body is wrong
  | 'SQL_SYNTAX' // DuckDB cannot parse the SQL
  | 'MACRO' // an unknown or misused @macro
  | 'AUDIT' // an audit's definition is wrong
  | 'TEST' // a unit test's YAML is wrong, or it cannot run
  | 'SEED' // a seed file is missing or unreadable
  | 'FILE' // a file of the project cannot be read
  | 'CYCLE'
  | 'DUPLICATE_MODEL'
  | 'UNKNOWN_TABLE'
  | 'UNKNOWN_MODEL'
  | 'DIALECT' // SQL in a dialect other than DuckDB's
  | 'PYTHON' // Python models, macros or config
  | 'SELECTION'
  | 'NOT_YET'
  | 'NAME_TAKEN'
  | 'PARENT_NOT_BUILT'
  | 'PROJECT_MISMATCH'
  | 'PLAN_TOO_LARGE' // more steps than a build can have
  | 'BUILD_RUNNING'
  | 'ENVIRONMENT_CHANGED' // promotion lost its compare-and-swap
  | 'STATE_NEWER'
  | 'DATABASE_LOCKED'
  | 'DATABASE' // the database cannot be opened
  | 'EXTENSION' // an extension of DuckDB cannot be fetched or loaded
  | 'CREDENTIALS' // no token could be had in time
  | 'CONNECTION_CONFLICT' // one database asked for with two configurations
  | 'LEASE_TIMEOUT'
  | 'TEMPORAL_UNAVAILABLE'
  | 'NO_WORKER'
  | 'SQL' // a statement failed
  | 'COLUMNS' // a query's columns are not those declared, or not those of its table
  | 'SCHEMA_CHANGE' // a forward_only model's query has other columns than its table
  | 'AUDIT_FAILED'
  | 'STALE_SOURCE' // a table that models read is older than millrace.yaml allows
  | 'CANCELED'
  | 'INTERNAL'

/** Where in a project's files an error is; lines and columns count from 1. */
export interface SourceLocation {
  /** Relative to the project's folder, `/` as separator. */
  file: string
  line?: number
  column?: number
}

export interface ErrorDetails extends Partial<SourceLocation> {
  /** What to do about it; printed after the message. */
  hint?: string
  cause?: unknown
}

export class MillraceError extends Error {
  readonly code: ErrorCode
  readonly file: string | null
  readonly line: number | null
  readonly column: number | null
  readonly hint: string | null

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'MillraceError'
    this.code = code
    this.file = details.file ?? null
    this.line = details.line ?? null
    this.column = details.column ?? null
    this.hint = details.hint ?? null
  }
}

/** All problems of one project, reported at once. Its code is that of the only problem, or `PROJECT`. */
export class ProjectError extends MillraceError {
  readonly problems: readonly MillraceError[]

  constructor(problems: readonly MillraceError[]) {
    const [first] = problems
    if (first === undefined) throw new TypeError('ProjectError needs at least one problem')
    const only = problems.length === 1
    super(only ? first.code : 'PROJECT', only ? first.message : `${problems.length} problems in the project`, {
      ...(first.file === null ? {} : { file: first.file }),
      ...(first.line === null ? {} : { line: first.line }),
      ...(only && first.hint !== null ? { hint: first.hint } : {}),
    })
    this.problems = problems
  }
}

/** `error[CODE]: message (file:line). hint`: one line per problem. */
export function formatError(error: MillraceError): string {
  if (error instanceof ProjectError && error.problems.length > 1) return error.problems.map(formatError).join('\n')
  const place = error.file === null ? '' : ` (${error.file}${error.line === null ? '' : `:${error.line}`})`
  const hint = error.hint === null ? '' : `\n  hint: ${error.hint}`
  return `error[${error.code}]: ${error.message}${place}${hint}`
}

/** The known name nearest to `name`, for "Did you mean …"; null when none is near: at most a third of the length apart. */
export function nearest(name: string, known: Iterable<string>): string | null {
  const limit = Math.max(1, Math.floor(name.length / 3))
  let best: string | null = null
  let bestDistance = limit + 1
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase(), bestDistance)
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

/**
 * How many characters are wrong, missing or too many; two neighbours that were swapped count once (optimal string alignment).
 * @returns `limit` or more where it is that or more.
 */
export function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let beforePrevious: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swap = swapped ? (beforePrevious[j - 2] ?? 0) + 1 : Infinity
      current.push(Math.min((previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1, substitution, swap))
    }
    beforePrevious = previous
    previous = current
  }
  return previous[b.length] ?? limit
}
