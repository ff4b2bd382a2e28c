/** Builds that run, whichever run of its workflow a build is in. */
import { setMaxListeners } from 'node:events'
import { WorkflowNotFoundError, type Client, type WorkflowHandle } from '@temporalio/client'
import { MillraceError } from '../errors.ts'
import type { BuildId } from '../payloads.ts'
import type { CommandContext } from './command.ts'
import type { TemporalSession } from './temporal-session.ts'

/**
 * @param workflowId default: that of the environment's builds.
 * @returns a handle of whichever run the build is in. @throws MillraceError USAGE when no such build runs.
 */
export async function runningBuild(
  { client, project }: TemporalSession,
  { options }: CommandContext,
  workflowId = `millrace/${project}/${options.environment}`,
): Promise<WorkflowHandle> {
  const handle = client.workflow.getHandle(workflowId)
  const status = await handle.describe().then(
    (description) => description.status.name,
    (error: unknown) => {
      if (error instanceof WorkflowNotFoundError) return null
      throw error
    },
  )
  if (status === 'RUNNING') return handle
  throw new MillraceError(
    'USAGE',
    `expected a running build '${workflowId}'; ${status === null ? 'there is none' : `it is ${status.toLowerCase()}`}`,
  )
}

/** What the state knows a build by: the first run of its workflow, of which a large build takes several. */
export async function firstRunId(handle: WorkflowHandle): Promise<string> {
  const { raw, runId } = await handle.describe()
  return raw.workflowExecutionInfo?.firstRunId ?? runId
}

/** A handle of whichever run the build is in that began with a run. */
export function buildHandle(client: Client, { workflowId, runId }: BuildId): WorkflowHandle {
  return client.workflow.getHandle(workflowId, undefined, { firstExecutionRunId: runId })
}

export interface AwaitedResult<T> {
  result: Promise<T>
  /** The wait is a request that the server answers after 20 s at the latest: until it is given up, it keeps the process alive. */
  giveUp: () => void
}

export function awaitResult<T>(handle: WorkflowHandle<() => Promise<T>>): AwaitedResult<T> {
  const waiting = new AbortController()
  // Each of its requests listens, and none stops listening.
  setMaxListeners(0, waiting.signal)
  const result = handle.client.withAbortSignal(waiting.signal, () => handle.result())
  return { result, giveUp: () => waiting.abort() }
}
