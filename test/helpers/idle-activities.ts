/** Activities that do nothing, or what a test says: for what the workflow alone does with a plan. */
import { createHash } from 'node:crypto'
import type { MillraceActivities } from '../../src/activities/index.ts'
import { unpackNumbers } from '../../src/graph/packed-numbers.ts'
import { toSlices } from '../../src/graph/plan-slices.ts'
import { emptyCounts, type BuildStep, type FinishInput, type StepInput, type StepOutcome } from '../../src/payloads.ts'

export type IdleActivities = Pick<MillraceActivities, 'planProject' | 'readPlanSlice' | 'buildModel' | 'finishBuild'>

export interface IdleOptions {
  /** Default 8. */
  concurrentTasks?: number
  /** What a step does; default nothing. */
  onStep?: (input: StepInput) => Promise<void> | void
  onFinish?: (input: FinishInput) => void
}

export const DONE: StepOutcome = { rows: 0, rowsFiltered: 0, warnings: 0, durationMs: 1 }

/** A step of its own model, with hashes as long as real ones. */
export function idleStep(model: string, parents: readonly number[] = [], weight = 1): BuildStep {
  const definition = createHash('sha256').update(model).digest('hex')
  return {
    model,
    kind: 'FULL',
    version: `${model.replace('.', '__')}__${definition.slice(0, 12)}`,
    definition,
    interval: [Date.UTC(2024, 0, 1), Date.UTC(2024, 0, 2)],
    inputs: '',
    parents,
    weight,
  }
}

export function idleActivities(steps: readonly BuildStep[], options: IdleOptions = {}): IdleActivities {
  const slices = toSlices(steps)
  return {
    planProject: () =>
      Promise.resolve({
        project: 'idle',
        environment: 'prod',
        gateway: 'local',
        stepCount: steps.length,
        slices: slices.map((_, ordinal) => String(ordinal)),
        steps: slices[0] ?? [],
        unchanged: 0,
        promotes: true,
        concurrentTasks: options.concurrentTasks ?? 8,
        notices: [],
      }),
    readPlanSlice: ({ ordinal }) => Promise.resolve(slices[ordinal] ?? []),
    async buildModel(input) {
      await options.onStep?.(input)
      return DONE
    },
    finishBuild(input) {
      options.onFinish?.(input)
      const { failed, skipped, canceled } = input.ending
      const counts = {
        ...emptyCounts(),
        error: unpackNumbers(failed).length,
        skipped: unpackNumbers(skipped).length,
        canceled: unpackNumbers(canceled).length,
      }
      counts.success = steps.length - counts.error - counts.skipped - counts.canceled
      return Promise.resolve({ promoted: input.status === 'succeeded', counts, problems: [] })
    },
  }
}
