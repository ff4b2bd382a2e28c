/** `cancel`: stops a build; running queries are interrupted and rolled back. */
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client'
import type { Verb } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { isCanceled } from '../remote-error.ts'
import { runningBuild } from '../running-build.ts'
import { openTemporal } from '../temporal-session.ts'

export const cancelVerb: Verb = {
  async run(context) {
    const { args, output } = context
    const session = await openTemporal(context, { worker: false, mayStart: false })
    try {
      const handle = await runningBuild(session, context, args[0])
      const { workflowId } = handle
      await handle.cancel()
      const ending = await endingOf(handle)
      output.answer(`${workflowId}: ${ending}`, { workflowId, status: ending })
      return EXIT.done
    } finally {
      await session.close()
    }
  },
}

/** From the result alone: a server that lives in the build's own command is gone a moment later. */
async function endingOf(handle: WorkflowHandle): Promise<'completed' | 'canceled' | 'failed'> {
  try {
    await handle.result()
    return 'completed'
  } catch (error) {
    if (isCanceled(error)) return 'canceled'
    if (error instanceof WorkflowFailedError) return 'failed'
    throw error
  }
}
