/** Failures of activities, run here or by a worker → the errors they were made from. */
import type { ApplicationFailure } from '@temporalio/common'
import { MillraceError, ProjectError, type ErrorCode } from '../errors.ts'

interface FailureDocument {
  code: ErrorCode
  message: string
  file: string | null
  line: number | null
  hint: string | null
  problems?: FailureDocument[]
}

/** A failure made by an activity → the error it was made from. */
export function failureToError(failure: ApplicationFailure): MillraceError {
  const document = failure.details?.[0] as FailureDocument | undefined
  if (document?.code === undefined) {
    return new MillraceError((failure.type ?? 'INTERNAL') as ErrorCode, failure.message, { cause: failure })
  }
  const problems = document.problems ?? []
  return problems.length > 1 ? new ProjectError(problems.map(toError)) : toError(document)
}

function toError({ code, message, file, line, hint }: FailureDocument): MillraceError {
  return new MillraceError(code, message, {
    ...(file === null ? {} : { file }),
    ...(line === null ? {} : { line }),
    ...(hint === null ? {} : { hint }),
  })
}
