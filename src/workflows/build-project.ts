/**
 * The workflow that makes an environment match its project: plan, build each step when its parents are done, promote.
 * A large build takes several runs of it, one after the other; to everyone else it is one build.
 */
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow'
import { Frontier } from '../graph/frontier.ts'
import type { BuildId, BuildInput, BuildSummary } from '../payloads.ts'
import { BuildTracker } from './build-tracker.ts'
import { packBuild, unpackBuild, type BuildHead, type Carried, type CarriedBuild } from './carried-build.ts'
import { handleControls } from './controls.ts'
import { endBuild, endJoined } from './end-build.ts'
import { executionTime, startingSchedule } from './execution-time.ts'
import { loadSteps } from './load-steps.ts'
import { planBuild } from './plan-build.ts'
import { progressQuery, toDetails } from './progress.ts'
import { isSearchable, noteSearchAttributes } from './search-attributes.ts'
import { initialSettings, Steering, windowOf } from './steering.ts'
import { StepRun } from './step-run.ts'

/**
 * @param carried what an earlier run hands over; nobody else gives it.
 * @returns counts, and at most 100 models that did not succeed; each model's report is in the state.
 * @throws ApplicationFailure of type BUILD_FAILED when a model failed (details: the summary), or of the error's code when
 * the build could not start; CancelledFailure when it was cancelled.
 */
export async function buildProject(input: BuildInput = {}, carried?: CarriedBuild): Promise<BuildSummary> {
  const before = carried === undefined ? null : unpackBuild(carried)
  const head = before?.head ?? newBuild(input)
  const tracker = new BuildTracker({ ...head, project: input.project ?? '', environment: input.environment ?? 'prod' })
  const steering = new Steering(before?.settings ?? initialSettings(input), tracker)
  if (before !== null) tracker.handedOver(before.tracked, before.plan)
  const show = (): void => setCurrentDetails(toDetails(tracker.progress(), { searchable: isSearchable() }))
  show()
  setHandler(progressQuery, () => tracker.progress(), {
    description: 'How far the build is: counts, running models, failures',
  })
  handleControls(steering)

  const onWaiting = (waitingFor: BuildId | null): void => {
    tracker.situated({ waitingFor })
    show()
  }
  const plan = before?.plan ?? (await planBuild(input, head.build, head.executionMs, onWaiting))
  if ('joined' in plan) return endJoined(plan, tracker, show)
  if (before === null) steering.repeat(plan.repeats ?? {})
  // A build that is cancelled now is planned already: it must come to its end like any other.
  const steps = await CancellationScope.nonCancellable(() => loadSteps(head.build, plan))
  const window = windowOf(steering.settings.parallel, plan.concurrentTasks)
  const frontier = new Frontier(steps, { window, ...(before === null ? {} : { ended: before.ended }) })
  tracker.planned(plan, steps)
  if (before === null) noteSearchAttributes(plan, tracker.summary())
  else tracker.resumed(before.tracked, (step) => frontier.state(step))
  const run = new StepRun(plan, steps, frontier, {
    build: head.build,
    input,
    executionMs: plan.repeats?.executionMs ?? head.executionMs,
    tracker,
    settings: steering.settings,
    onChange: show,
  })
  steering.steer({ steps, frontier, run, concurrentTasks: plan.concurrentTasks })

  const status = await run.drain()
  if (status === 'unfinished') {
    const { settings } = steering
    return goOn(input, { head, plan, ended: frontier.endedSteps(), tracked: tracker.carried(), settings })
  }
  steering.close()
  return endBuild(plan, { head, input, status, run, tracker, show })
}

function newBuild(input: BuildInput): BuildHead {
  const info = workflowInfo()
  const { workflowId, firstExecutionRunId, startTime } = info
  return {
    build: { workflowId, runId: firstExecutionRunId },
    startedMs: startTime.getTime(),
    executionMs: executionTime(input, info),
    schedule: startingSchedule(info),
    runs: 1,
  }
}

/** In a history of its own, with what this one knows. */
async function goOn(input: BuildInput, carried: Carried): Promise<never> {
  await condition(allHandlersFinished)
  return continueAsNew<typeof buildProject>(input, packBuild(carried))
}
