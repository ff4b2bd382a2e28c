/** The schedule that a person means, and all of a project. */
import { ScheduleNotFoundError, type Client, type ScheduleDescription, type ScheduleHandle } from '@temporalio/client'
import { MillraceError, nearest } from '../../errors.ts'
import type { TemporalSession } from '../temporal-session.ts'
import { idPrefix, nameOf } from './definition.ts'

export interface FoundSchedule {
  handle: ScheduleHandle
  description: ScheduleDescription
}

/**
 * By the name it was made with, or by its whole id, which may have been chosen elsewhere.
 * @throws MillraceError USAGE that names those there are
 */
export async function findSchedule(
  { client, project }: Pick<TemporalSession, 'client' | 'project'>,
  name: string,
): Promise<FoundSchedule> {
  for (const id of [`${idPrefix(project)}${name}`, name]) {
    const found = await describeSchedule(client, id)
    if (found !== null) return found
  }
  const names = (await projectSchedules(client, project)).map((id) => nameOf(id, project))
  const meant = nearest(name, names)
  const known = names.length === 0 ? 'it has none yet' : `it has ${names.join(', ')}`
  throw new MillraceError('USAGE', `expected a schedule '${name}' of project '${project}'; ${known}`, {
    hint: meant === null ? 'make one with `schedule create`' : `Did you mean '${meant}'?`,
  })
}

/** Null where there is none. */
export async function describeSchedule(client: Client, id: string): Promise<FoundSchedule | null> {
  const handle = client.schedule.getHandle(id)
  try {
    return { handle, description: await handle.describe() }
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return null
    throw error
  }
}

/** Ids, sorted. Those made elsewhere are of the project where they build it by name. */
export async function projectSchedules(client: Client, project: string): Promise<string[]> {
  const ids: string[] = []
  for await (const { scheduleId, action } of client.schedule.list()) {
    if (scheduleId.startsWith(idPrefix(project))) ids.push(scheduleId)
    else if (action?.workflowType === 'buildProject' && (await builds(client, scheduleId, project)))
      ids.push(scheduleId)
  }
  return ids.sort()
}

async function builds(client: Client, id: string, project: string): Promise<boolean> {
  const found = await describeSchedule(client, id)
  const input = found?.description.action.args?.[0] as { project?: unknown } | undefined
  return input?.project === project
}
