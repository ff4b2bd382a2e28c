/** The end of a build: what was built is promoted if all of it was, recorded in any case, and told. */
import { ApplicationFailure, CancellationScope, proxyActivities } from '@temporalio/workflow'
import type { MillraceActivities } from '../activities/index.ts'
import type { BuildInput, BuildPlan, BuildStatus, BuildSummary, JoinedBuild } from '../payloads.ts'
import { CONTROL_OPTIONS } from './activity-options.ts'
import type { BuildTracker } from './build-tracker.ts'
import type { BuildHead } from './carried-build.ts'
import { noteSearchAttributes } from './search-attributes.ts'
import { DEFAULT_LOCK_TIMEOUT_SECONDS, type StepRun } from './step-run.ts'

const { finishBuild } = proxyActivities<MillraceActivities>(CONTROL_OPTIONS)

export interface EndingBuild {
  head: BuildHead
  input: BuildInput
  status: Exclude<BuildStatus, 'running'>
  run: StepRun
  tracker: BuildTracker
  /** Shows what the tracker knows. */
  show: () => void
}

/** @throws ApplicationFailure BUILD_FAILED, or the cancellation that ended its steps. */
export async function endBuild(plan: BuildPlan, ending: EndingBuild): Promise<BuildSummary> {
  const { status, run, tracker, show } = ending
  await finish(plan, ending)
  show()
  if (run.cancellation !== null) throw run.cancellation
  if (status === 'failed') throw buildFailed(tracker.summary())
  return tracker.summary()
}

/** Another build's success is this one's. */
export function endJoined({ joined, summary }: JoinedBuild, tracker: BuildTracker, show: () => void): BuildSummary {
  tracker.finished('succeeded', summary)
  show()
  const { project, environment } = summary
  return { ...tracker.summary(), project, environment, joined }
}

/** Of a cancelled build too: what was built is recorded, and the environment is free again. */
async function finish(plan: BuildPlan, { head, input, status, run, tracker }: EndingBuild): Promise<void> {
  const summary = status === 'succeeded' ? 'promote and record' : `record the ${status} build`
  const { project, environment, gateway } = plan
  const finished = await CancellationScope.nonCancellable(() =>
    finishBuild.executeWithOptions({ activityId: 'finish', summary }, [
      {
        build: head.build,
        project,
        environment,
        gateway,
        status,
        ending: run.ending(),
        startedMs: head.startedMs,
        lockTimeoutSeconds: input.lockTimeoutSeconds ?? DEFAULT_LOCK_TIMEOUT_SECONDS,
      },
    ]),
  )
  tracker.finished(status, finished)
  noteSearchAttributes(finished, tracker.summary())
}

/** First what went wrong and where: lists show one line. */
function buildFailed(summary: BuildSummary): ApplicationFailure {
  const { counts, problems } = summary
  const first = problems.find(({ status }) => status === 'error')
  const cause = first === undefined ? '' : `${first.name}: ${first.error?.message ?? ''}\n`
  const failure = ApplicationFailure.create({
    type: 'BUILD_FAILED',
    message: `${cause}${counts.error} failed, ${counts.skipped} skipped; nothing was promoted`,
    nonRetryable: true,
    details: [summary],
  })
  failure.stack = ''
  return failure
}
