/** From what was asked for to a plan, once it is this build's turn; or to the result of the build that it joins. */
import { ApplicationFailure } from '@temporalio/common'
import { CancellationScope, proxyActivities } from '@temporalio/workflow'
import type { MillraceActivities } from '../activities/index.ts'
import type { BuildId, BuildInput, BuildPlan, EndedBuild, JoinedBuild, Occupied } from '../payloads.ts'
import { CONTROL_OPTIONS, LEAVE_OPTIONS, WAIT_OPTIONS } from './activity-options.ts'

const { planProject } = proxyActivities<MillraceActivities>(CONTROL_OPTIONS)
const { awaitBuild } = proxyActivities<MillraceActivities>(WAIT_OPTIONS)
const { leaveQueue } = proxyActivities<MillraceActivities>(LEAVE_OPTIONS)

/**
 * @param onWaiting told whose end it waits for, and with null when it waits no more.
 * @throws ApplicationFailure of the error's code when it cannot be planned; as the build that it joins, when that one failed or was cancelled.
 */
export async function planBuild(
  input: BuildInput,
  build: BuildId,
  executionMs: number,
  onWaiting: (holder: BuildId | null) => void,
): Promise<BuildPlan | JoinedBuild> {
  let occupied: Occupied | null = null
  try {
    for (;;) {
      const answer = await planProject.executeWithOptions({ activityId: 'plan', summary: 'plan' }, [
        { ...input, build, executionMs },
      ])
      if (!('waitsFor' in answer)) {
        if (occupied !== null) onWaiting(null)
        return answer
      }
      occupied = answer
      onWaiting(answer.waitsFor)
      const ended = await waitFor(answer.waitsFor, input.onConflict === 'join')
      if (input.onConflict === 'join') return joined(answer.waitsFor, ended)
    }
  } catch (error) {
    if (occupied !== null && input.onConflict !== 'join') await leave(occupied, build)
    throw error
  }
}

function waitFor(build: BuildId, withSummary: boolean): Promise<EndedBuild> {
  return awaitBuild.executeWithOptions({ activityId: 'wait', summary: `wait for ${build.workflowId}` }, [
    { build, withSummary },
  ])
}

/** Whoever comes next drops the entry of a build that has ended, should this fail. */
async function leave({ project, gateway }: Occupied, build: BuildId): Promise<void> {
  await CancellationScope.nonCancellable(async () => {
    try {
      await leaveQueue.executeWithOptions({ activityId: 'leave', summary: 'leave the queue' }, [
        { build, project, gateway },
      ])
    } catch {
      // What ended the waiting is what matters.
    }
  })
}

function joined(build: BuildId, { status, summary, error }: EndedBuild): JoinedBuild {
  if (status === 'succeeded' && summary !== null) return { joined: build, summary }
  const ending = {
    succeeded: 'left no summary',
    failed: `failed: ${error?.message ?? ''}`,
    canceled: 'was cancelled',
    gone: 'was terminated',
  }[status]
  const failure = ApplicationFailure.create({
    type: error?.code ?? 'CANCELED',
    message: `the build '${build.workflowId}' (run ${build.runId}), which this one joined, ${ending}`,
    nonRetryable: true,
    details: summary === null ? [] : [{ ...summary, joined: build }],
  })
  failure.stack = ''
  throw failure
}
