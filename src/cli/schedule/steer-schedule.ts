/** `schedule pause|unpause|trigger|delete`. */
import type { CommandContext } from '../command.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { followUp } from '../follow-up.ts'
import { nameOf, OVERLAPS } from './definition.ts'
import { findSchedule, type FoundSchedule } from './find-schedule.ts'
import { parseOverlap } from './from-options.ts'
import { withScheduleServer } from './session.ts'
import { fromTemporal } from './temporal-form.ts'

export async function pauseSchedule(context: CommandContext, name: string): Promise<ExitCode> {
  return withScheduleServer(context, async (session) => {
    const { handle } = await findSchedule(session, name)
    const note = context.options.note ?? 'paused with `schedule pause`'
    await handle.pause(note)
    context.output.answer(`${named(handle, session.project)}: paused: ${note}`, {
      id: handle.scheduleId,
      paused: true,
      note,
    })
    return EXIT.done
  })
}

export async function unpauseSchedule(context: CommandContext, name: string): Promise<ExitCode> {
  return withScheduleServer(context, async (session) => {
    const { handle } = await findSchedule(session, name)
    const note = context.options.note ?? 'unpaused with `schedule unpause`'
    await handle.unpause(note)
    const next = (await handle.describe()).info.nextActionTimes[0]?.toISOString() ?? null
    context.output.answer(`${named(handle, session.project)}: unpaused; next ${next ?? 'never'}`, {
      id: handle.scheduleId,
      paused: false,
      note,
      next,
    })
    return EXIT.done
  })
}

export async function deleteSchedule(context: CommandContext, name: string): Promise<ExitCode> {
  return withScheduleServer(context, async (session) => {
    const { handle, description } = await findSchedule(session, name)
    await handle.delete()
    const running = description.info.runningActions.map(({ workflow }) => workflow.workflowId)
    const left = running.length === 0 ? '' : `; ${running.join(', ')} goes on`
    context.output.answer(`${named(handle, session.project)}: deleted${left}`, { id: handle.scheduleId, running })
    return EXIT.done
  })
}

/** Starts one now, minding the schedule's overlap policy; but who triggers wants a build: it waits where others are skipped. */
export async function triggerSchedule(context: CommandContext, name: string): Promise<ExitCode> {
  const given = parseOverlap(context.options.overlap)
  return withScheduleServer(context, async (session) => {
    const found = await findSchedule(session, name)
    const own = fromTemporal(found.description).overlap
    const overlap = given ?? (own === 'skip' ? 'buffer-one' : own)
    await found.handle.trigger(OVERLAPS[overlap])
    const workflowId = await startedSince(found)
    const { scheduleId: id } = found.handle
    const started =
      workflowId === null
        ? 'triggered; it starts when the one that runs has ended'
        : `started '${workflowId}'\nFollow it: ${followUp(context, 'watch', workflowId)}`
    context.output.answer(`${named(found.handle, session.project)}: ${started}`, { id, workflowId })
    return EXIT.done
  })
}

const START_LIMIT_MS = 5_000
const POLL_MS = 100

/** What the schedule has started since it was described; null where it holds back. */
async function startedSince({ handle, description }: FoundSchedule): Promise<string | null> {
  const known = new Set(description.info.recentActions.map(({ action }) => action.workflow.firstExecutionRunId))
  const deadline = Date.now() + START_LIMIT_MS
  while (Date.now() < deadline) {
    const { info, raw } = await handle.describe()
    const started = info.recentActions.findLast(({ action }) => !known.has(action.workflow.firstExecutionRunId))
    if (started !== undefined) return started.action.workflow.workflowId
    if (Number(raw.info?.bufferSize ?? 0) > 0 && info.runningActions.length > 0) return null
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
  return null
}

function named({ scheduleId }: FoundSchedule['handle'], project: string): string {
  return nameOf(scheduleId, project)
}
