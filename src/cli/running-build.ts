/** Builds that run, whichever run of its workflow a build is in. */
import { setMaxListeners } from 'node:events'
import {
  WorkflowNotFoundError,
  type Client,
  type WorkflowExecutionStatusName,
  type WorkflowHandle,
} from '@temporalio/client'
import { firstRunOf } from '../activities/queue/live-builds.ts'
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
  const status = await statusOf(handle)
  if (status === 'RUNNING') return handle
  throw new MillraceError(
    'USAGE',
    `expected a running build '${workflowId}'; ${status === null ? 'there is none' : `it is ${status.toLowerCase()}`}`,
  )
}

/** Temporal's word for how a workflow is; null when there is none. */
export async function statusOf(handle: WorkflowHandle): Promise<WorkflowExecutionStatusName | null> {
  try {
    return (await handle.describe()).status.name
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null
    throw error
  }
}

export async function firstRunId(handle: WorkflowHandle): Promise<string> {
  return firstRunOf(await handle.describe())
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
