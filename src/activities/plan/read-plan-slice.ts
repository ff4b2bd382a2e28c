/** The activity that reads a slice of a running build's plan: for steps beyond the first slice, and for each later run of the workflow. */
import { MillraceError } from '../../errors.ts'
import type { PackedStep, SliceInput } from '../../payloads.ts'
import { sha256 } from '../../project/fingerprint.ts'
import { readPlanSlice as readSlice } from '../../state/plan-slices.ts'
import { controlActivity } from '../control-activity.ts'
import type { WorkerProjects } from '../worker-projects.ts'

export async function readPlanSlice(projects: WorkerProjects, input: SliceInput): Promise<readonly PackedStep[]> {
  return controlActivity('plan', async (heartbeat) => {
    const project = await projects.open(input.project, input.gateway)
    await using lease = await project.lease({
      holder: 'plan',
      signal: heartbeat.signal,
      onWaiting: (message) => heartbeat.say(message),
    })
    const text = await readSlice(lease, input.build, input.ordinal)
    const steps = text === null ? null : (JSON.parse(text) as PackedStep[])
    if (steps !== null && sliceHash(steps) === input.hash) return steps
    throw new MillraceError(
      'INTERNAL',
      `expected slice ${input.ordinal} of the plan of run ${input.build.runId} as it was planned; the state ${text === null ? 'has none' : 'has another one'}`,
      { hint: 'start the build again: what is built is kept' },
    )
  })
}

export function sliceHash(steps: readonly PackedStep[]): string {
  return sha256(steps).slice(0, 16)
}
