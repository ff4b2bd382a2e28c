/** The one place that decides what an activity's error means to Temporal: its type, and whether it is tried again. */
import { ApplicationFailure } from '@temporalio/common'
import { CommitOutcomeUnknown } from '../connections/commit-outcome-unknown.ts'
import { classifySqlError } from '../connections/sql-errors.ts'
import { formatError, MillraceError, ProjectError, type ErrorCode } from '../errors.ts'

/** Errors that pass by themselves: another attempt may find things changed. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['LEASE_TIMEOUT', 'CREDENTIALS', 'ENVIRONMENT_CHANGED'])

/** A statement of a model that failed, with its place in the project. */
export class StepError extends MillraceError {
  /** Another attempt may succeed. */
  readonly retryable: boolean

  constructor(error: unknown, place: { model: string; file: string; line: number }) {
    const { message, hint, retryable } = classifySqlError(error)
    super('SQL', message, { file: place.file, line: place.line, cause: error, ...(hint === null ? {} : { hint }) })
    this.name = 'StepError'
    this.retryable = retryable
  }
}

/** Whether an attempt that ended with `error` is worth repeating at once. */
export function isRetryable(error: unknown): boolean {
  if (error instanceof CommitOutcomeUnknown) return true
  if (error instanceof StepError) return error.retryable
  if (error instanceof MillraceError) return PASSING.has(error.code)
  return classifySqlError(error).retryable
}

/**
 * Any error of an activity → what crosses the boundary. First line: the error and its place.
 * Details: `{ code, file, line, problems }`, so that a client prints it as if it had happened there.
 * @param exhausted it was tried again here already: only a connection that was lost with its worker is left to Temporal.
 */
export function toFailure(error: unknown, { exhausted = false } = {}): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error
  if (error instanceof MillraceError) {
    const { code, message, file, line, hint } = error
    const problems =
      error instanceof ProjectError
        ? error.problems.map(({ code, message, file, line, hint }) => ({ code, message, file, line, hint }))
        : []
    const failure = ApplicationFailure.create({
      type: code,
      message: firstLineFirst(error),
      nonRetryable: true,
      details: [{ code, message, file, line, hint, problems: problems.slice(0, 100) }],
    })
    // What is wrong is in the user's project: our stack says nothing about it, in history, logs and the Web UI.
    if (code !== 'INTERNAL') failure.stack = ''
    return failure
  }
  const { message, kind, retryable, hint } = classifySqlError(error)
  // A fault of Millrace itself keeps its stack in the failure; a database's error does not need one.
  return ApplicationFailure.create({
    type: kind === 'other' ? 'INTERNAL' : 'SQL',
    message,
    nonRetryable: !retryable || (exhausted && kind !== 'connection'),
    details: [{ code: kind === 'other' ? 'INTERNAL' : 'SQL', message, file: null, line: null, hint, problems: [] }],
    ...(error instanceof Error ? { cause: error } : {}),
  })
}

function firstLineFirst(error: MillraceError): string {
  if (error instanceof ProjectError && error.problems.length > 1) return formatError(error)
  const place = error.file === null ? '' : ` (${error.file}${error.line === null ? '' : `:${error.line}`})`
  // The hint of a mismatch is for the client to read: a hash of each model.
  const hint = error.hint === null || error.code === 'PROJECT_MISMATCH' ? '' : `\n${error.hint}`
  return `${error.message}${place}${hint}`
}
