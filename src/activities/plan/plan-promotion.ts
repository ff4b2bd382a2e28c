/** What promotion will move, and whether a stranger stands in its way. */
import type { EnvironmentEntry } from '../../graph/plan-context.ts'
import type { BuildId } from '../../payloads.ts'
import type { RelationName } from '../../project/model.ts'
import type { Project } from '../../project/project.ts'
import { commentsOf } from '../../sql/comments.ts'
import { displayName } from '../../sql/identifiers.ts'
import { environmentView, physicalRelation } from '../../sql/physical.ts'
import type { EnvironmentModel } from '../../state/environments.ts'
import type { Promotion } from '../../state/promotion.ts'
import type { CatalogLeases } from '../catalog-leases.ts'
import { attachedCatalogs } from './model-catalogs.ts'
import { planRenames } from './plan-strangers.ts'
import type { MadePlan } from './planner.ts'

export interface PromotionOptions {
  environment: string
  build: BuildId
  /** Rename strangers instead of refusing. */
  adopt: boolean
}

/**
 * @param leases null when there is no database yet.
 * @returns null when the environment would stay as it is.
 * @throws MillraceError NAME_TAKEN (ProjectError for several) for objects that are not ours under names of models;
 * those of another project are never renamed.
 */
export async function planPromotion(
  project: Project,
  made: MadePlan,
  leases: CatalogLeases | null,
  { environment, build, adopt }: PromotionOptions,
): Promise<Promotion | null> {
  const { plan, definitions } = made
  if (!plan.promotes) return null
  const current = new Map(made.environment.models.map((model) => [model.model, model]))
  const tables = new Map(plan.models.filter(({ hasTable }) => hasTable).map(({ name, version }) => [name, version]))
  const views: Promotion['views'] = []
  const models = plan.target.map((entry): EnvironmentModel => {
    const model = definitions.get(entry.model)?.definition.model
    if (model === undefined) return { ...entry, view: current.get(entry.model)?.view ?? null }
    const version = tables.get(entry.model)
    const view = version === undefined ? null : environmentView(model.relation, environment)
    if (view !== null && version !== undefined && isMoved(entry, current.get(entry.model))) {
      const comments = commentsOf(model)
      views.push({ view, shows: physicalRelation(model.relation, version), ...(comments === null ? {} : { comments }) })
    }
    return { ...entry, view }
  })
  const kept = new Set(models.flatMap(({ view }) => (view === null ? [] : [displayName(view)])))
  const ours = [...current.values()].flatMap(({ view }) => view ?? [])
  const drops = withinReach(
    project,
    ours.filter((view) => !kept.has(displayName(view))),
  )
  const claim = { environment, views: views.map(({ view }) => view), ours, adopt }
  return {
    project: project.name,
    environment,
    revision: made.environment.revision,
    promotedBy: build.runId,
    views,
    drops,
    renames: leases === null ? [] : await planRenames(project, leases, claim),
    models,
  }
}

/** Also where only the metadata changed: a view that is made again has no comments but those it is given. */
function isMoved(entry: EnvironmentEntry, current: EnvironmentEntry | undefined): boolean {
  return current?.version !== entry.version || current.metadataHash !== entry.metadataHash
}

/** Without views of catalogs that are not attached any more, or not written to: those stay behind. */
function withinReach(project: Project, views: readonly RelationName[]): RelationName[] {
  if (views.every(({ catalog }) => catalog === null)) return [...views]
  const attached = attachedCatalogs(project)
  return views.filter(({ catalog }) => catalog === null || attached.get(catalog) === null)
}
