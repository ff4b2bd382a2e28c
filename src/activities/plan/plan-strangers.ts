/** Objects that are not ours and stand where views must go: refused, or renamed. */
import { MillraceError, ProjectError } from '../../errors.ts'
import type { Lease } from '../../connections/lease.ts'
import type { RelationName } from '../../project/model.ts'
import type { Project } from '../../project/project.ts'
import { displayName } from '../../sql/identifiers.ts'
import { environmentView } from '../../sql/physical.ts'
import { findOccupants, readViewOwners, type Occupant, type ViewOwner } from '../../state/environments.ts'
import type { Promotion } from '../../state/promotion.ts'
import { readStateVersion } from '../../state/schema.ts'
import type { CatalogLeases } from '../catalog-leases.ts'

type Session = Pick<Lease, 'run' | 'rows'>

export interface Claim {
  /** Views that will be made. */
  views: readonly RelationName[]
  environment: string
  /** Views that the environment has now. */
  ours: readonly RelationName[]
  /** Rename strangers instead of refusing. */
  adopt: boolean
}

/**
 * @returns what makes room, and the name it gets.
 * @throws MillraceError NAME_TAKEN (ProjectError for several) for what is refused; views of another project are never renamed.
 */
export async function planRenames(
  project: Project,
  leases: CatalogLeases,
  { environment, views, ours, adopt }: Claim,
): Promise<Promotion['renames']> {
  const own = new Set(ours.map((view) => displayName(view)))
  const renames: Promotion['renames'] = []
  const refused: MillraceError[] = []
  const strangers = (await findOccupants(await leases.in(null), views)).filter(
    ({ relation, type }) => type === 'table' || !own.has(displayName(relation).toLowerCase()),
  )
  for (const catalog of new Set(strangers.map(({ relation }) => relation.catalog))) {
    const session = await leases.in(catalog)
    const owners = await viewOwners(session)
    for (const stranger of strangers.filter(({ relation }) => relation.catalog === catalog)) {
      const owner = owners.get(displayName({ ...stranger.relation, catalog: null }).toLowerCase()) ?? null
      // An attached database knows what is ours when the main one is new, or another gateway's.
      const isOurs = owner?.project === project.name && owner.environment === environment
      if (isOurs && stranger.type === 'view') continue
      if (!adopt || owner !== null) refused.push(nameTaken(stranger, project, owner?.project ?? null))
      else renames.push({ ...stranger, to: await freeName(session, stranger.relation) })
    }
  }
  if (refused.length > 0) throw new ProjectError(refused)
  return renames
}

/** Without a state there are none. */
async function viewOwners(session: Session): Promise<Map<string, ViewOwner>> {
  return (await readStateVersion(session)) === 0 ? new Map<string, ViewOwner>() : readViewOwners(session)
}

/** @param owner the project whose view it is; null for what Millrace did not make. */
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

async function freeName(session: Session, relation: RelationName): Promise<string> {
  const wanted = `${relation.name}__before_millrace`
  for (let nth = 1; ; nth++) {
    const name = nth === 1 ? wanted : `${wanted}_${nth}`
    if ((await findOccupants(session, [{ ...relation, name }])).length === 0) return name
  }
}
