/** All steps of a plan, slice by slice out of the state. */
import { proxyActivities } from '@temporalio/workflow'
import type { MillraceActivities } from '../activities/index.ts'
import { unpackSteps } from '../graph/plan-slices.ts'
import type { BuildId, BuildPlan, BuildStep, PackedStep } from '../payloads.ts'
import { CONTROL_OPTIONS } from './activity-options.ts'

const { readPlanSlice } = proxyActivities<MillraceActivities>(CONTROL_OPTIONS)

/** Answers that wait for one workflow task must stay below 2 MB together. */
const READ_AT_ONCE = 4

/** The first slice comes with the plan, but not in a later run. */
export async function loadSteps(build: BuildId, plan: BuildPlan): Promise<BuildStep[]> {
  const steps = unpackSteps(plan.steps)
  for (let ordinal = steps.length > 0 ? 1 : 0; ordinal < plan.slices.length && steps.length < plan.stepCount;) {
    const hashes = plan.slices.slice(ordinal, ordinal + READ_AT_ONCE)
    const first = ordinal
    const read = await Promise.all(hashes.map((_, at) => readSlice(build, plan, first + at)))
    steps.push(...read.flatMap(unpackSteps))
    ordinal += hashes.length
  }
  return steps
}

function readSlice(
  build: BuildId,
  { project, gateway, slices }: BuildPlan,
  ordinal: number,
): Promise<readonly PackedStep[]> {
  return readPlanSlice.executeWithOptions(
    { activityId: `plan-${ordinal + 1}`, summary: `read the plan, ${ordinal + 1} of ${slices.length}` },
    [{ build, project, gateway, ordinal, hash: slices[ordinal] ?? '' }],
  )
}
