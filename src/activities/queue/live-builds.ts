/** Builds that the state tells of, as Temporal knows them: one that was killed has left its claim behind. */
import type { Client } from '@temporalio/client'
import type { BuildId } from '../../payloads.ts'

export interface LiveBuild extends BuildId {
  /** Epoch ms of the workflow's start. */
  startedMs: number
}

/** A build goes by its first run; it lives as long as any later run of the same workflow continues that one. @returns null when it has ended. */
export async function findLive(client: Client, { workflowId, runId }: BuildId): Promise<LiveBuild | null> {
  const first = await describe(client, workflowId, runId)
  if (first === null) return null
  const live = { workflowId, runId, startedMs: first.startTime.getTime() }
  if (first.status.name !== 'CONTINUED_AS_NEW') return isOpen(first) ? live : null
  const latest = await describe(client, workflowId)
  return latest !== null && isOpen(latest) && firstRunOf(latest) === runId ? live : null
}

/** Asks a build to end; one that has ended meanwhile is none to ask. */
export async function cancelBuild(client: Client, { workflowId, runId }: BuildId): Promise<void> {
  try {
    await client.workflow.getHandle(workflowId, undefined, { firstExecutionRunId: runId }).cancel()
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}

export function isNotFound(error: unknown): boolean {
  return error instanceof Error && error.name === 'WorkflowNotFoundError'
}

type Description = Awaited<ReturnType<ReturnType<Client['workflow']['getHandle']>['describe']>>

async function describe(client: Client, workflowId: string, runId?: string): Promise<Description | null> {
  try {
    return await client.workflow.getHandle(workflowId, runId).describe()
  } catch (error) {
    if (isNotFound(error)) return null
    throw error
  }
}

function isOpen({ closeTime }: Description): boolean {
  return closeTime == null
}

/** What the state knows a build by: the first run of its workflow, of which a large build takes several. */
export function firstRunOf({ raw, runId }: Pick<Description, 'raw' | 'runId'>): string {
  return raw.workflowExecutionInfo?.firstRunId ?? runId
}
