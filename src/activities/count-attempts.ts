/** Attempts of an activity as people count them: not those that were given back to the worker that holds the database. */
import { Context } from '@temporalio/activity'
import { ApplicationFailure } from '@temporalio/common'
import { isGivenBack } from './lease-or-give-back.ts'

/** How often the attempts before this one were given back: each one's heartbeats tell those of all before it. */
export function timesGivenBack(): number {
  const details: unknown = Context.current().info.heartbeatDetails
  if (typeof details !== 'object' || details === null || !('givenBack' in details)) return 0
  return typeof details.givenBack === 'number' ? details.givenBack : 0
}

/**
 * Runs an activity; one that is given back says so with its last heartbeat.
 * @param most attempts; what the last one fails with is final. Temporal's own limit would count those that were given back.
 */
export async function countAttempts<T>(most: number, work: () => Promise<T>): Promise<T> {
  const context = Context.current()
  const givenBack = timesGivenBack()
  const attempt = context.info.attempt - givenBack
  // Those before died with their workers.
  if (attempt > most) {
    throw ApplicationFailure.nonRetryable(`given up: each of ${most} attempts ended with its worker`, 'INTERNAL')
  }
  try {
    return await work()
  } catch (error) {
    if (isGivenBack(error)) {
      context.heartbeat({ phase: 'given back to the worker that holds the database', givenBack: givenBack + 1 })
      throw error
    }
    throw attempt < most ? error : final(error)
  }
}

function final(error: unknown): unknown {
  if (!(error instanceof ApplicationFailure) || error.nonRetryable === true) return error
  const { message, type, details, cause, category, stack } = error
  const failure = ApplicationFailure.create({
    message,
    nonRetryable: true,
    ...(type == null ? {} : { type }),
    ...(details == null ? {} : { details }),
    ...(cause === undefined ? {} : { cause }),
    ...(category == null ? {} : { category }),
  })
  if (stack !== undefined) failure.stack = stack
  return failure
}
