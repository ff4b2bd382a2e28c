/** `cancel`: stops a build; running queries are interrupted and rolled back. */
import { WorkflowNotFoundError } from '@temporalio/client'
import { MillraceError } from '../../errors.ts'
import type { Verb } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { openTemporal } from '../temporal-session.ts'

export const cancelVerb: Verb = {
  usage: '[WORKFLOW_ID]',
  summary: "stop a build; without an id that of the environment; what was built is kept, no view moves",
  opens: true,
  args: [0, 1],
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
        throw new MillraceError('USAGE', `expected a running build '${workflowId}'; ${status === null ? 'there is none' : `it is ${status.toLowerCase()}`}`)
      }
      await handle.cancel()
      await handle.result().catch(() => {})
      const ended = await handle.describe()
      output.answer(`${workflowId}: ${ended.status.name.toLowerCase()}`, { workflowId, status: ended.status.name.toLowerCase() })
      return EXIT.done
    } finally {
      await session.close()
    }
  },
}
