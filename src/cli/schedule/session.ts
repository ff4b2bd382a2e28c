/** The server that keeps a project's schedules. */
import { MillraceError } from '../../errors.ts'
import type { CommandContext } from '../command.ts'
import { toMillraceError } from '../remote-error.ts'
import { openTemporal, type TemporalSession } from '../temporal-session.ts'

/** @throws MillraceError TEMPORAL_UNAVAILABLE: none is started, since a schedule would end with the command. */
export async function withScheduleServer<T>(
  context: CommandContext,
  work: (session: TemporalSession) => Promise<T>,
): Promise<T> {
  const session = await openServer(context)
  try {
    if (session.server.kind === 'project')
      context.output.notice("schedules of this project's own server fire only while the command that started it runs")
    return await work(session)
  } catch (error) {
    throw toMillraceError(error)
  } finally {
    await session.close()
  }
}

async function openServer(context: CommandContext): Promise<TemporalSession> {
  try {
    return await openTemporal(context, { worker: false, mayStart: false })
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'TEMPORAL_UNAVAILABLE') throw error
    throw new MillraceError(
      'TEMPORAL_UNAVAILABLE',
      `a schedule needs a server that outlives the command. ${error.message}`,
      {
        hint: 'name one with --address, or keep one running with `worker.ts` in another terminal',
        cause: error,
      },
    )
  }
}
