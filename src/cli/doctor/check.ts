/** One thing that `doctor` looked at, and what it found. */
import { formatError, MillraceError, ProjectError } from '../../errors.ts'
import { classifySqlError } from '../../connections/sql-errors.ts'

export interface Check {
  /** Stable, e.g. `database` or `credential local.token`. */
  name: string
  status: 'ok' | 'warn' | 'fail'
  /** What was found, one line. */
  message: string
  /** What to do; null when there is nothing to do. */
  hint: string | null
}

export function ok(name: string, message: string): Check {
  return { name, status: 'ok', message, hint: null }
}

export function warn(name: string, message: string, hint: string): Check {
  return { name, status: 'warn', message, hint }
}

export function fail(name: string, message: string, hint: string | null): Check {
  return { name, status: 'fail', message, hint }
}

/** Several problems of a project come in one message, with file and line each. @param otherwise the hint of an error without one. */
export function failed(name: string, error: unknown, otherwise: string): Check {
  if (error instanceof ProjectError && error.problems.length > 1) {
    const list = error.problems.map((problem) => formatError(problem).split('\n')[0])
    return fail(name, `${error.message}: ${list.join(' | ')}`, otherwise)
  }
  if (error instanceof MillraceError) {
    const place = error.file === null ? '' : ` (${error.file}${error.line === null ? '' : `:${error.line}`})`
    return fail(name, `${error.message}${place}`, error.hint ?? otherwise)
  }
  const { message, hint } = classifySqlError(error)
  return fail(name, message, hint ?? otherwise)
}
