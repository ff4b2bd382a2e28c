/** What a build hands from one run of its workflow to the next: small, whatever the size of the build. */
import type { EndedSteps } from '../graph/frontier.ts'
import { packNumbers, unpackNumbers } from '../graph/packed-numbers.ts'
import type { BuildId, BuildPlan } from '../payloads.ts'
import type { CarriedTracker } from './build-tracker.ts'
import type { Settings } from './steering.ts'

export interface CarriedBuild {
  /** Its first run is the build's name in the state, whichever run it is in. */
  build: BuildId
  startedMs: number
  executionMs: number
  schedule: string | null
  /** The run that goes on is this one's next. */
  runs: number
  /** Without steps: they are in the state. */
  plan: BuildPlan
  /** Packed indices. */
  steps: { done: string; unsuccessful: string; skipped: string; warned: string }
  tracked: Omit<CarriedTracker, 'warned'>
  settings: Settings
}

export type BuildHead = Pick<CarriedBuild, 'build' | 'startedMs' | 'executionMs' | 'schedule' | 'runs'>

export interface Carried {
  head: BuildHead
  plan: BuildPlan
  ended: EndedSteps
  tracked: CarriedTracker
  settings: Settings
}

export function packBuild({ head, plan, ended, tracked, settings }: Carried): CarriedBuild {
  const { warned, ...others } = tracked
  return {
    ...head,
    plan: { ...plan, steps: [] },
    steps: {
      done: packNumbers(ended.done),
      unsuccessful: packNumbers(ended.unsuccessful),
      skipped: packNumbers(ended.skipped),
      warned: packNumbers(warned),
    },
    tracked: others,
    settings,
  }
}

export function unpackBuild({ plan, steps, tracked, settings, ...head }: CarriedBuild): Carried {
  return {
    head: { ...head, runs: head.runs + 1 },
    plan,
    ended: {
      done: unpackNumbers(steps.done),
      unsuccessful: unpackNumbers(steps.unsuccessful),
      skipped: unpackNumbers(steps.skipped),
    },
    tracked: { ...tracked, warned: unpackNumbers(steps.warned) },
    settings,
  }
}
