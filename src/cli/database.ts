/** Verbs that read the database: directly where it is free, through the worker that holds it where it is not. */
import type { Client } from '@temporalio/client'
import { ApplicationFailure } from '@temporalio/common'
import { WorkerProjects } from '../activities/worker-projects.ts'
import { connectionRegistry } from '../connections/registry.ts'
import { MillraceError } from '../errors.ts'
import type { CommandContext } from './command.ts'
import { failureToError } from './activity-error.ts'

export interface DatabaseWork<T> {
  /** @param lockTimeoutSeconds how long it may wait for the file. */
  direct(projects: WorkerProjects, lockTimeoutSeconds: number): Promise<T>
  /** The same by a worker on `taskQueue`. */
  remote(client: Client, taskQueue: string): Promise<T>
}

/** @throws MillraceError DATABASE_LOCKED when neither way opens within `--lock-timeout`. */
export async function withDatabase<T>(context: CommandContext, work: DatabaseWork<T>): Promise<T> {
  return withProjects(context, async (projects) => {
    try {
      return await direct(work, projects, 0)
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'DATABASE_LOCKED') throw error
      const answer = await remotely(context, work)
      if (answer !== null) return answer.value
      const { lockTimeoutSeconds } = context.options
      context.output.say(`${error.message}; waiting up to ${lockTimeoutSeconds} s`)
      return await direct(work, projects, lockTimeoutSeconds)
    }
  })
}

/** The project as a worker has it, in this process; its database is let go afterwards, unless a worker here holds it. */
export async function withProjects<T>(
  { root, env }: CommandContext,
  work: (projects: WorkerProjects) => Promise<T>,
): Promise<T> {
  const registry = connectionRegistry()
  const owner = registry.attach('command')
  const projects = new WorkerProjects([root], { env, registry })
  try {
    return await work(projects)
  } finally {
    await projects.close()
    await owner.detach()
  }
}

async function direct<T>(work: DatabaseWork<T>, projects: WorkerProjects, lockTimeoutSeconds: number): Promise<T> {
  try {
    return await work.direct(projects, lockTimeoutSeconds)
  } catch (error) {
    throw error instanceof ApplicationFailure ? failureToError(error) : error
  }
}

/** Null where no worker can be asked. */
async function remotely<T>(context: CommandContext, work: DatabaseWork<T>): Promise<{ value: T } | null> {
  // Only now: most commands find the database free, and Temporal's client is most of what they would load.
  const { openTemporal } = await import('./temporal-session.ts')
  const { toMillraceError } = await import('./remote-error.ts')
  const options = { ...context.options, waitSeconds: 0 }
  let session
  try {
    session = await openTemporal({ ...context, options }, { worker: false, mayStart: false, needsWorker: true })
  } catch (error) {
    if (error instanceof MillraceError && (error.code === 'TEMPORAL_UNAVAILABLE' || error.code === 'NO_WORKER'))
      return null
    throw error
  }
  try {
    return { value: await work.remote(session.client, session.taskQueue) }
  } catch (error) {
    throw toMillraceError(error)
  } finally {
    await session.close()
  }
}
