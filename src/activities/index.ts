/** The activities of Millrace, bound to the projects of a worker. */
import type { FinishInput, PlanRequest, StepInput } from '../payloads.ts'
import { buildModel } from './build-model.ts'
import { finishBuild } from './finish-build.ts'
import { planProject } from './plan-project.ts'
import { previewPlan, type PreviewInput } from './preview-plan.ts'
import { readBuildPage, type ReadBuildInput } from './read-build.ts'
import type { WorkerProjects } from './worker-projects.ts'

export type MillraceActivities = ReturnType<typeof createActivities>

export function createActivities(projects: WorkerProjects) {
  return {
    planProject: (request: PlanRequest) => planProject(projects, request),
    buildModel: (input: StepInput) => buildModel(projects, input),
    finishBuild: (input: FinishInput) => finishBuild(projects, input),
    readBuildPage: (input: ReadBuildInput) => readBuildPage(projects, input),
    previewPlan: (input: PreviewInput) => previewPlan(projects, input),
  }
}
