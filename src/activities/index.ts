/** The activities of Millrace, bound to the projects of a worker. */
import type {
  AwaitInput,
  EvaluateInput,
  FinishInput,
  LeaveInput,
  PlanRequest,
  SliceInput,
  StepInput,
} from '../payloads.ts'
import { awaitBuild } from './queue/await-build.ts'
import { measureFinish, measurePlan, measureStep } from './build-metrics.ts'
import { auditModels, type AuditInput } from './audit-models.ts'
import { buildModel } from './step/build-model.ts'
import { countAttempts } from './step/count-attempts.ts'
import { evaluateModel } from './evaluate-model.ts'
import { finishBuild } from './finish-build.ts'
import { leaveQueue } from './queue/leave-queue.ts'
import { planProject } from './plan/plan-project.ts'
import { previewPlan, type PreviewInput } from './plan/preview-plan.ts'
import { readBuildPage, type ReadBuildInput } from './report/read-build.ts'
import { readPlanSlice } from './plan/read-plan-slice.ts'
import { withSearchAttributes } from './search-attributes.ts'
import type { WorkerProjects } from './worker-projects.ts'

export type MillraceActivities = ReturnType<typeof createActivities>

/** Of planning and finishing: enough for a database that comes back. */
const CONTROL_ATTEMPTS = 20
/** Of reading for a person who waits. */
const READ_ATTEMPTS = 3

export function createActivities(projects: WorkerProjects) {
  const control = <T>(work: () => Promise<T>): Promise<T> => countAttempts(CONTROL_ATTEMPTS, work)
  const read = <T>(work: () => Promise<T>): Promise<T> => countAttempts(READ_ATTEMPTS, work)
  return {
    planProject: (request: PlanRequest) =>
      control(() => withSearchAttributes(measurePlan(request, () => planProject(projects, request)))),
    awaitBuild: (input: AwaitInput) => awaitBuild(input),
    leaveQueue: (input: LeaveInput) => control(() => leaveQueue(projects, input)),
    // A step that fails is final by itself; one whose worker died is taken up as often as that happens.
    buildModel: (input: StepInput) =>
      countAttempts(Infinity, () => measureStep(input, () => buildModel(projects, input))),
    readPlanSlice: (input: SliceInput) => control(() => readPlanSlice(projects, input)),
    finishBuild: (input: FinishInput) =>
      control(() => withSearchAttributes(measureFinish(input, () => finishBuild(projects, input)))),
    readBuildPage: (input: ReadBuildInput) => read(() => readBuildPage(projects, input)),
    auditModels: (input: AuditInput) => read(() => auditModels(projects, input)),
    previewPlan: (input: PreviewInput) => read(() => previewPlan(projects, input)),
    evaluateModel: (input: EvaluateInput) => read(() => evaluateModel(projects, input)),
  }
}
