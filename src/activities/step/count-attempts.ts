/** Attempts of an activity as people count them: not those given back to the worker that holds the database, nor those a shutdown or an operator ended. */
import { Context } from '@temporalio/activity'
import { ApplicationFailure } from '@temporalio/common'
import { isGivenBack } from '../lease-or-give-back.ts'

/** Attempts before this one that are not counted: each one's heartbeats tell those of all before it. */
export interface Uncounted {
  /** They tried nothing. */
  givenBack: number
  /** Their worker shut down, or an operator paused them, and they were rolled back. */
  interrupted: number
}

export function uncountedAttempts(): Uncounted {
  const { attempt, heartbeatDetails: details } = Context.current().info as {
    attempt: number
    heartbeatDetails: unknown
  }
  // The first has nobody before it, also where it is one after a reset.
  const known = attempt > 1 && typeof details === 'object' && details !== null ? details : {}
  return {
    givenBack: 'givenBack' in known && typeof known.givenBack === 'number' ? known.givenBack : 0,
    interrupted: 'interrupted' in known && typeof known.interrupted === 'number' ? known.interrupted : 0,
  }
}

/**
 * Runs an activity; an attempt that is not counted says so with its last heartbeat.
 * @param most attempts; what the last one fails with is final. Temporal's own limit would count all of them.
 */
export async function countAttempts<T>(most: number, work: () => Promise<T>): Promise<T> {
  const context = Context.current()
  const { givenBack, interrupted } = uncountedAttempts()
  const attempt = context.info.attempt - givenBack - interrupted
  // Those before died with their workers.
  if (attempt > most) {
    throw ApplicationFailure.nonRetryable(`given up: each of ${most} attempts ended with its worker`, 'INTERNAL')
  }
  try {
    return await work()
  } catch (error) {
    if (isGivenBack(error)) {
      const phase = 'given back to the worker that holds the database'
      context.heartbeat({ phase, givenBack: givenBack + 1, interrupted })
      throw error
    }
    const cause = interruption(context)
    if (cause !== null) {
      // After a reset the server counts from 1 again, and this attempt is the one.
      const counted =
        cause === 'it was reset' ? { givenBack: 0, interrupted: 1 } : { givenBack, interrupted: interrupted + 1 }
      context.heartbeat({ phase: `interrupted: ${cause}`, ...counted })
      throw error
    }
    throw attempt < most ? error : final(error)
  }
}

/** What stopped an attempt that was not its own fault; the activity comes again. */
function interruption({ cancellationDetails: details }: Context): string | null {
  if (details?.workerShutdown === true) return 'its worker shut down'
  if (details?.paused === true) return 'it was paused'
  return details?.reset === true ? 'it was reset' : null
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
