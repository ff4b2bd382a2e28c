/**
 * The workflow that makes an environment match its project: plan, build each step when its parents are done, promote.
 */
import {
  ApplicationFailure,
  CancellationScope,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import type { MillraceActivities } from '../activities/index.ts'
import { Frontier } from '../graph/frontier.ts'
import type { BuildInput, BuildPlan, BuildSummary } from '../payloads.ts'
import { CONTROL_OPTIONS } from './activity-options.ts'
import { BuildTracker } from './build-tracker.ts'
import { executionTime } from './execution-time.ts'
import { progressQuery, toDetails } from './progress.ts'
import { DEFAULT_LOCK_TIMEOUT_SECONDS, StepRun } from './step-run.ts'

const { planProject, finishBuild } = proxyActivities<MillraceActivities>(CONTROL_OPTIONS)

const DEFAULT_PARALLEL = 32
const MAX_PARALLEL = 500
const STEPS_PER_LEASE = 2

/**
 * @returns counts, and at most 100 models that did not succeed; each model's report is in the state.
 * @throws ApplicationFailure of type BUILD_FAILED when a model failed (details: the summary), or of the error's code when
 * the build could not start; CancelledFailure when it was cancelled.
 */
export async function buildProject(input: BuildInput = {}): Promise<BuildSummary> {
  const { workflowId, runId, startTime } = workflowInfo()
  const build = { workflowId, runId }
  const startedMs = startTime.getTime()
  const executionMs = executionTime(input, startedMs)
  const tracker = new BuildTracker(input, { ...build, startedMs })
  setHandler(progressQuery, () => tracker.progress(), {
    description: 'How far the build is: counts, running models, failures',
  })
  const show = (): void => setCurrentDetails(toDetails(tracker.progress()))

  const plan = await planProject.executeWithOptions({ activityId: 'plan', summary: 'plan' }, [
    { ...input, build, executionMs },
  ])
  tracker.planned(plan)
  const frontier = new Frontier(plan.steps, { window: windowOf(input, plan) })
  const run = new StepRun(plan, frontier, { build, input, executionMs, tracker, onChange: show })
  const status = await run.drain()

  // Of a cancelled build too: what was built is recorded, and the environment is free again.
  const finished = await CancellationScope.nonCancellable(() =>
    finishBuild.executeWithOptions(
      { activityId: 'finish', summary: status === 'succeeded' ? 'promote and record' : `record the ${status} build` },
      [
        {
          build,
          project: plan.project,
          environment: plan.environment,
          gateway: plan.gateway,
          status,
          ending: run.ending(),
          startedMs,
          lockTimeoutSeconds: input.lockTimeoutSeconds ?? DEFAULT_LOCK_TIMEOUT_SECONDS,
        },
      ],
    ),
  )
  tracker.finished(status, finished)
  show()
  if (run.cancellation !== null) throw run.cancellation
  if (status === 'failed') throw buildFailed(tracker.summary())
  return tracker.summary()
}

/**
 * Steps in flight. Those beyond the connection's leases wait in the order they came, not by their path: enough of them
 * that no lease is idle between two steps, and no more, or a long chain would wait behind a wide layer.
 */
function windowOf({ maxParallel = DEFAULT_PARALLEL }: BuildInput, { concurrentTasks }: BuildPlan): number {
  return Math.max(1, Math.min(MAX_PARALLEL, Math.floor(maxParallel), concurrentTasks * STEPS_PER_LEASE))
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
