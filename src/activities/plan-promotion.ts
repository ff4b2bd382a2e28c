/** What promotion will move, and whether a stranger stands in its way. */
import { MillraceError, ProjectError } from '../errors.ts'
import type { Lease } from '../connections/lease.ts'
import type { BuildId } from '../payloads.ts'
import type { RelationName } from '../project/model.ts'
import type { Project } from '../project/project.ts'
import { displayName } from '../sql/identifiers.ts'
import { environmentView, physicalRelation } from '../sql/physical.ts'
import {
  findOccupants,
  readForeignViews,
  type EnvironmentModel,
  type Occupant,
  type Promotion,
} from '../state/environments.ts'
import type { MadePlan } from './planner.ts'

export interface PromotionOptions {
  environment: string
  build: BuildId
  /** Rename strangers instead of refusing. */
  adopt: boolean
}

/**
 * @param session null when there is no database yet.
 * @returns null when the environment would stay as it is.
 * @throws MillraceError NAME_TAKEN (ProjectError for several) for objects that are not ours under names of models;
 * those of another project are never renamed.
 */
export async function planPromotion(
  project: Project,
  made: MadePlan,
  session: Pick<Lease, 'run' | 'rows'> | null,
  { environment, build, adopt }: PromotionOptions,
): Promise<Promotion | null> {
  const { plan, definitions } = made
  if (!plan.promotes) return null
  const current = new Map(made.environment.models.map((model) => [model.model, model]))
  const tables = new Map(plan.models.filter(({ hasTable }) => hasTable).map(({ name, version }) => [name, version]))
  const views: Promotion['views'] = []
  const models = plan.target.map((entry): EnvironmentModel => {
    const relation = definitions.get(entry.model)?.definition.model.relation
    if (relation === undefined) return { ...entry, view: current.get(entry.model)?.view ?? null }
    const version = tables.get(entry.model)
    const view = version === undefined ? null : environmentView(relation, environment)
    if (view !== null && version !== undefined && current.get(entry.model)?.version !== entry.version) {
      views.push({ view, shows: physicalRelation(relation, version) })
    }
    return { ...entry, view }
  })
  const kept = new Set(models.flatMap(({ view }) => (view === null ? [] : [displayName(view)])))
  const drops = [...current.values()].flatMap(({ view }) =>
    view !== null && !kept.has(displayName(view)) ? [view] : [],
  )
  const strangers = session === null ? [] : await findStrangers(session, views, [...current.values()])
  // Without a state there are no other projects.
  const foreign =
    session === null || made.stateVersion === 0 || strangers.length === 0
      ? new Map<string, string>()
      : await readForeignViews(session, project.name)
  const ownerOf = (stranger: Occupant): string | null =>
    foreign.get(displayName(stranger.relation).toLowerCase()) ?? null
  const refused = adopt ? strangers.filter((stranger) => ownerOf(stranger) !== null) : strangers
  if (refused.length > 0) {
    throw new ProjectError(refused.map((stranger) => nameTaken(stranger, project, ownerOf(stranger))))
  }
  return {
    project: project.name,
    environment,
    revision: made.environment.revision,
    promotedBy: build.runId,
    views,
    drops,
    renames: session === null ? [] : await newNames(session, strangers),
    models,
  }
}

async function findStrangers(
  session: Pick<Lease, 'run' | 'rows'>,
  views: Promotion['views'],
  current: readonly EnvironmentModel[],
): Promise<Occupant[]> {
  const ours = new Set(current.flatMap(({ view }) => (view === null ? [] : [displayName(view)])))
  const occupants = await findOccupants(
    session,
    views.map(({ view }) => view),
  )
  return occupants.filter(({ relation, type }) => type === 'table' || !ours.has(displayName(relation).toLowerCase()))
}

/** @param owner the other project whose view it is; null for what Millrace did not make. */
function nameTaken({ relation, type }: Occupant, project: Project, owner: string | null): MillraceError {
  const name = displayName(relation)
  const model = project.models.find(
    (candidate) => displayName(environmentView(candidate.relation, 'prod')) === name.toLowerCase(),
  )
  const whose = owner === null ? 'that Millrace did not make' : `of project '${owner}'`
  return new MillraceError(
    'NAME_TAKEN',
    `the database has a ${type} '${name}' ${whose}, where model '${model?.name ?? name}' would stand`,
    {
      ...(model === undefined ? {} : { file: model.file, line: model.line }),
      hint:
        owner === null
          ? `rename it, rename the model, or let \`build --adopt\` rename it to '${relation.name}__before_millrace'`
          : 'rename the model in one of the two projects, or give each a database of its own',
    },
  )
}

async function newNames(
  session: Pick<Lease, 'run' | 'rows'>,
  strangers: readonly Occupant[],
): Promise<Promotion['renames']> {
  const renames: Promotion['renames'] = []
  for (const stranger of strangers) {
    let to = `${stranger.relation.name}__before_millrace`
    for (let nth = 2; await exists(session, { ...stranger.relation, name: to }); nth++) {
      to = `${stranger.relation.name}__before_millrace_${nth}`
    }
    renames.push({ ...stranger, to })
  }
  return renames
}

async function exists(session: Pick<Lease, 'run' | 'rows'>, relation: RelationName): Promise<boolean> {
  return (await findOccupants(session, [relation])).length > 0
}
