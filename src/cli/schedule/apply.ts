/** Makes the server's schedules what they are asked to be: creates, updates, and says what changed. */
import { ScheduleAlreadyRunning, type Client } from '@temporalio/client'
import { changesBetween, type Change } from './changes.ts'
import type { ScheduleDefinition } from './definition.ts'
import { describeSchedule } from './find-schedule.ts'
import { fromTemporal, toTemporal } from './temporal-form.ts'

/** What was done about a schedule, or would be. */
export interface Applied {
  id: string
  action: 'created' | 'updated' | 'unchanged' | 'deleted' | 'not in the file'
  changes: Change[]
}

/** The same twice changes nothing. */
export async function applySchedule(
  client: Client,
  definition: ScheduleDefinition,
  { dryRun }: { dryRun: boolean },
): Promise<Applied> {
  const { id } = definition
  const found = await describeSchedule(client, id)
  if (found === null) {
    if (!dryRun) {
      const created = await create(client, definition)
      // Somebody made it since we looked: then it is theirs that is compared.
      if (!created) return applySchedule(client, definition, { dryRun })
    }
    return { id, action: 'created', changes: [] }
  }
  const changes = changesBetween(fromTemporal(found.description), definition)
  if (changes.length === 0) return { id, action: 'unchanged', changes }
  if (!dryRun) {
    await found.handle.update((previous) => {
      const { spec, action, policies } = toTemporal(definition)
      return {
        ...(policies === undefined ? {} : { policies }),
        spec,
        action,
        state: {
          ...previous.state,
          paused: definition.paused ?? previous.state.paused,
          ...(definition.note === null ? {} : { note: definition.note }),
        },
      }
    })
  }
  return { id, action: 'updated', changes }
}

/** False where there is one already. */
async function create(client: Client, definition: ScheduleDefinition): Promise<boolean> {
  const { id, paused, note } = definition
  try {
    await client.schedule.create({
      scheduleId: id,
      ...toTemporal(definition),
      state: { paused: paused ?? false, ...(note === null ? {} : { note }) },
    })
    return true
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning) return false
    throw error
  }
}
