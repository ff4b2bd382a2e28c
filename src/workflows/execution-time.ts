/** What "now" is for a build. */
import { ApplicationFailure } from '@temporalio/common'
import { MillraceError } from '../errors.ts'
import { parseTime } from '../graph/time.ts'
import type { BuildInput } from '../payloads.ts'

/** @returns epoch ms. @throws ApplicationFailure of the error's code for what is no time. */
export function executionTime({ executionTime }: BuildInput, startedMs: number): number {
  if (executionTime === undefined) return startedMs
  try {
    return parseTime(executionTime, 'start', startedMs)
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    throw ApplicationFailure.nonRetryable(`executionTime: ${error.message}`, error.code)
  }
}
