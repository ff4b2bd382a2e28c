/** The activity behind `plan`: what a build would do now. Writes nothing but the rest of a promotion that a dead build has begun. */
import type { BuildInput, PlanReport } from '../../payloads.ts'
import type { Project } from '../../project/project.ts'
import { leaseCatalogs, type CatalogLeases } from '../catalog-leases.ts'
import { toFailure } from '../failures.ts'
import { attachedCatalogs } from './model-catalogs.ts'
import { makePlan } from './planner.ts'
import { toPlanReport } from './plan-report.ts'
import { planPromotion } from './plan-promotion.ts'
import { assertPlannable } from './plan-scope.ts'
import { endBegunPromotions } from '../promote.ts'
import type { WorkerProjects } from '../worker-projects.ts'

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
    const environment = input.environment ?? 'prod'
    assertPlannable(project, { ...input, environment })
    // Opening would make the file.
    await using leases = worker.databaseExists()
      ? leaseCatalogs(worker, { holder: 'plan', lockTimeoutMs: (input.lockTimeoutSeconds ?? 60) * 1000 })
      : null
    if (leases !== null && attachedCatalogs(project).size > 0) {
      await endBegunPromotions(leases, project.name)
    }
    const json = JSON.stringify(await previewReport(project, leases, input))
    const next = input.offset + PAGE
    return { json: json.slice(input.offset, next), next: next < json.length ? next : null }
  } catch (error) {
    throw toFailure(error)
  }
}

/** @param leases null when there is no database yet. */
export async function previewReport(
  project: Project,
  leases: CatalogLeases | null,
  input: Omit<PreviewInput, 'offset'>,
): Promise<PlanReport> {
  const environment = input.environment ?? 'prod'
  const made = await makePlan(project, leases, { ...input, environment, refreshId: 'preview' })
  const build = { workflowId: 'preview', runId: 'preview' }
  await planPromotion(project, made, leases, { environment, build, adopt: input.adopt === true })
  return toPlanReport(environment, made)
}
