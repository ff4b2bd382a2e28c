/** Errors of a workflow → the error the command would have thrown itself. */
import { isGrpcServiceError, ServiceError, WorkflowFailedError } from '@temporalio/client'
import { ActivityFailure, ApplicationFailure, CancelledFailure, TimeoutFailure } from '@temporalio/common'
import { MillraceError } from '../errors.ts'
import type { BuildSummary } from '../payloads.ts'
import { failureToError } from './activity-error.ts'

/** The workflow was cancelled, by whomever. */
export function isCanceled(error: unknown): boolean {
  return error instanceof WorkflowFailedError && error.cause instanceof CancelledFailure
}

/** The summary of a build that ran and failed; null when it never got that far. */
export function failedSummary(error: unknown): BuildSummary | null {
  const failure = applicationFailure(error)
  return failure?.type === 'BUILD_FAILED' ? ((failure.details?.[0] as BuildSummary | undefined) ?? null) : null
}

export function toMillraceError(error: unknown): unknown {
  if (error instanceof WorkflowFailedError && error.cause instanceof TimeoutFailure) {
    const hint = 'look for the worker in the Web UI; a worker that was killed is forgotten after a minute'
    return new MillraceError('NO_WORKER', 'expected an answer of a worker; none came in time', { hint, cause: error })
  }
  if (isGrpcServiceError(error) || (error instanceof ServiceError && isGrpcServiceError(error.cause)))
    return serverGone(error)
  const failure = applicationFailure(error)
  return failure === null ? error : failureToError(failure)
}

/** A server that another command had started ended with that command, or it was stopped. */
function serverGone(error: Error): MillraceError {
  const reason = error.cause instanceof Error ? error.cause.message : error.message
  return new MillraceError('TEMPORAL_UNAVAILABLE', `the Temporal server does not answer any more: ${reason}`, {
    hint: 'run `build` again: it goes on where this one was left',
    cause: error,
  })
}

function applicationFailure(error: unknown): ApplicationFailure | null {
  if (!(error instanceof WorkflowFailedError)) return null
  const cause = error.cause instanceof ActivityFailure ? error.cause.cause : error.cause
  return cause instanceof ApplicationFailure ? cause : null
}
