/** What "now" is for a build. */
import { ApplicationFailure, defineSearchAttributeKey } from '@temporalio/common'
import type { WorkflowInfo } from '@temporalio/workflow'
import { MillraceError } from '../errors.ts'
import { parseTime } from '../graph/time.ts'
import type { BuildInput } from '../payloads.ts'

/** Set by the server on what a schedule starts: the time it was due, in a backfill of the schedule a past one. */
const SCHEDULED_START_TIME = defineSearchAttributeKey('TemporalScheduledStartTime', 'DATETIME')

/**
 * The input's execution time; else the time a schedule meant, whenever it came to start the build; else the workflow's start.
 * A relative time counts from there.
 * @returns epoch ms. @throws ApplicationFailure of the error's code for what is no time.
 */
export function executionTime(
  { executionTime }: BuildInput,
  { startTime, typedSearchAttributes }: Pick<WorkflowInfo, 'startTime' | 'typedSearchAttributes'>,
): number {
  const nowMs = (typedSearchAttributes.get(SCHEDULED_START_TIME) ?? startTime).getTime()
  if (executionTime === undefined) return nowMs
  try {
    return parseTime(executionTime, 'start', nowMs)
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    throw ApplicationFailure.nonRetryable(`executionTime: ${error.message}`, error.code)
  }
}

/** Set by the server, like the time. */
const SCHEDULED_BY = defineSearchAttributeKey('TemporalScheduledById', 'KEYWORD')

/** Id of the schedule that started the workflow; null when none did. */
export function startingSchedule({
  typedSearchAttributes,
}: Pick<WorkflowInfo, 'typedSearchAttributes'>): string | null {
  return typedSearchAttributes.get(SCHEDULED_BY) ?? null
}
