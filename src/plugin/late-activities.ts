/** The activities by name, before they are loaded: a worker asks for work a third of a second earlier, and what comes waits for them. */
import type { MillraceActivities } from '../activities/index.ts'

type Activities = Record<keyof MillraceActivities, (input: never) => Promise<unknown>>

const NAMES: Record<keyof MillraceActivities, true> = {
  planProject: true,
  awaitBuild: true,
  leaveQueue: true,
  readPlanSlice: true,
  buildModel: true,
  finishBuild: true,
  readBuildPage: true,
  previewPlan: true,
  auditModels: true,
  evaluateModel: true,
}

export const ACTIVITY_NAMES: readonly string[] = Object.keys(NAMES)

/** @param load called by each activity. */
export function lateActivities(load: () => Promise<Activities>): Activities {
  const late = (name: keyof Activities) => async (input: never) => (await load())[name](input)
  return Object.fromEntries(Object.keys(NAMES).map((name) => [name, late(name as keyof Activities)])) as Activities
}
