/** `schedule list|describe`. */
import type { CommandContext } from '../command.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { describeSchedule, findSchedule, projectSchedules } from './find-schedule.ts'
import { readSchedule, type ScheduleReport } from './read-schedule.ts'
import { describeText, listText } from './schedule-text.ts'
import { withScheduleServer } from './session.ts'

/** As many as the server keeps. */
const RECENT_RUNS = 10

export async function listSchedules(context: CommandContext): Promise<ExitCode> {
  return withScheduleServer(context, async ({ client, project }) => {
    const reports: ScheduleReport[] = []
    for (const id of await projectSchedules(client, project)) {
      const found = await describeSchedule(client, id)
      // A list lags behind: what was just deleted may still be in it.
      if (found !== null) reports.push(await readSchedule(client, found.description, { project, recentRuns: 1 }))
    }
    context.output.answer(listText(reports), reports)
    return EXIT.done
  })
}

export async function showSchedule(context: CommandContext, name: string): Promise<ExitCode> {
  return withScheduleServer(context, async (session) => {
    const { description } = await findSchedule(session, name)
    const { client, project } = session
    const report = await readSchedule(client, description, { project, recentRuns: RECENT_RUNS })
    context.output.answer(describeText(report), report)
    return EXIT.done
  })
}
