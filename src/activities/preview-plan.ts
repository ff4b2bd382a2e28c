/** The activity behind `plan`: what a build would do now. Writes nothing. */
import type { Lease } from '../connections/lease.ts'
import type { BuildInput, PlanReport } from '../payloads.ts'
import type { Project } from '../project/project.ts'
import { toFailure } from './failures.ts'
import { makePlan } from './planner.ts'
import { toPlanReport } from './plan-report.ts'
import { planPromotion } from './plan-promotion.ts'
import { assertPlannable } from './plan-scope.ts'
import type { WorkerProjects } from './worker-projects.ts'

/** Characters of the report's JSON in one page. */
const PAGE = 150_000

export interface PreviewInput extends BuildInput {
  executionMs: number
  offset: number
}

/** A piece of the report's JSON: the report of a large project is larger than one payload may be. */
export interface PreviewPage {
  json: string
  /** Where the next page starts; null after the last. */
  next: number | null
}

export async function previewPlan(projects: WorkerProjects, input: PreviewInput): Promise<PreviewPage> {
  try {
    const { project, worker } = await projects.load(input.project, {
      ...(input.gateway === undefined ? {} : { gateway: input.gateway }),
      ...(input.vars === undefined ? {} : { vars: input.vars }),
    })
    assertPlannable(project, { ...input, environment: input.environment ?? 'prod' })
    // Opening would make the file.
    await using lease = worker.databaseExists()
      ? await worker.lease({ holder: 'plan', lockTimeoutMs: (input.lockTimeoutSeconds ?? 60) * 1000 })
      : null
    const json = JSON.stringify(await previewReport(project, lease, input))
    const next = input.offset + PAGE
    return { json: json.slice(input.offset, next), next: next < json.length ? next : null }
  } catch (error) {
    throw toFailure(error)
  }
}

/** @param session null when there is no database yet. */
export async function previewReport(
  project: Project,
  session: Pick<Lease, 'run' | 'rows'> | null,
  input: Omit<PreviewInput, 'offset'>,
): Promise<PlanReport> {
  const environment = input.environment ?? 'prod'
  const made = await makePlan(project, session, { ...input, environment, refreshId: 'preview' })
  const build = { workflowId: 'preview', runId: 'preview' }
  await planPromotion(project, made, session, { environment, build, adopt: input.adopt === true })
  return toPlanReport(environment, made)
}
