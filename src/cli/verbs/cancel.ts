/** `cancel`: stops a build; running queries are interrupted and rolled back. */
import { WorkflowFailedError, WorkflowNotFoundError, type WorkflowHandle } from '@temporalio/client'
import { MillraceError } from '../../errors.ts'
import type { Verb } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { isCanceled } from '../remote-error.ts'
import { openTemporal } from '../temporal-session.ts'

export const cancelVerb: Verb = {
  async run(context) {
    const { args, options, output } = context
    const session = await openTemporal(context, { worker: false, mayStart: false })
    try {
      const workflowId = args[0] ?? `millrace/${session.project}/${options.environment}`
      const handle = session.client.workflow.getHandle(workflowId)
      const status = await handle.describe().then(
        (description) => description.status.name,
        (error: unknown) => {
          if (error instanceof WorkflowNotFoundError) return null
          throw error
        },
      )
      if (status !== 'RUNNING') {
        throw new MillraceError(
          'USAGE',
          `expected a running build '${workflowId}'; ${status === null ? 'there is none' : `it is ${status.toLowerCase()}`}`,
        )
      }
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
