/** Sends a running build one of its updates. */
import {
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  type WorkflowHandle,
} from '@temporalio/client'
import { ApplicationFailure } from '@temporalio/common'
import { MillraceError } from '../errors.ts'

/** Names of the updates that `buildProject` takes. */
export type SteerUpdate = 'pause' | 'resume' | 'setParallel' | 'setFailFast' | 'skipModel' | 'retryModel'

export interface SteerOptions {
  args?: unknown[]
  /** How long a worker may take to answer. */
  waitSeconds: number
}

/**
 * @returns what the build did, in words.
 * @throws MillraceError USAGE when the build refuses, NO_WORKER when no worker answers in time.
 */
export async function steerBuild(
  handle: WorkflowHandle,
  update: SteerUpdate,
  { args = [], waitSeconds }: SteerOptions,
): Promise<string> {
  try {
    return await handle.client.withDeadline(Date.now() + waitSeconds * 1000, () =>
      handle.executeUpdate<string, [unknown, ...unknown[]]>(update, { args: args as [unknown, ...unknown[]] }),
    )
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) {
      throw new MillraceError('USAGE', error.cause.message, { cause: error })
    }
    if (!(error instanceof WorkflowUpdateRPCTimeoutOrCancelledError)) throw error
    throw new MillraceError(
      'NO_WORKER',
      `expected a worker to answer for '${handle.workflowId}' within ${waitSeconds} s; none did`,
      { hint: 'start one with `worker.ts PROJECT`; it may still take what was asked for', cause: error },
    )
  }
}
