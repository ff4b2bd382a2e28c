/** Which of a gateway's databases models are in: the main one, and attached catalogs. */
import { parseConnection } from '../../connections/config.ts'
import type { AttachedDatabase, AttachedDatabases } from '../../connections/config/attached-database.ts'
import { capabilitiesOf, toTarget } from '../../connections/databases/catalog-target.ts'
import type { NotWritable } from '../../connections/databases/database.ts'
import { MillraceError, nearest } from '../../errors.ts'
import { hasTable, type Model } from '../../project/model.ts'
import type { Project } from '../../project/project.ts'
import type { BuildModel } from '../../state/builds.ts'

/** The attached catalogs of the project's gateway, by name: null, or why none of them is written to. @throws MillraceError CONFIG */
export function attachedCatalogs({ config, gateway, root }: Project): ReadonlyMap<string, NotWritable | null> {
  const connection = config.gateways[gateway]?.connection ?? {}
  // Most have none: nothing is to be parsed then.
  if ((connection['catalogs'] ?? null) === null) return new Map()
  const { catalogs } = parseConnection(connection, { root, env: config.env })
  return new Map(Object.entries(catalogs ?? {}).map(([name, database]) => [name, refusalOf(name, database)]))
}

/** Names of the catalogs that models may be in, sorted; without the main database. */
export function writableCatalogs(catalogs: AttachedDatabases | null): string[] {
  return Object.entries(catalogs ?? {})
    .filter(([name, database]) => refusalOf(name, database) === null)
    .map(([name]) => name)
    .sort()
}

/** Those of the models' tables, sorted; without the main database, and without those that are not written to. */
export function modelCatalogs(project: Project, models: readonly Model[]): string[] {
  const names = new Set(models.filter(({ kind }) => hasTable(kind)).flatMap(({ relation }) => relation.catalog ?? []))
  if (names.size === 0) return []
  const attached = attachedCatalogs(project)
  return [...names].filter((name) => attached.get(name) === null).sort()
}

/** Those in which steps of a build are recorded, sorted; without the main database. */
export function buildCatalogs(models: readonly BuildModel[]): string[] {
  return [...new Set(models.flatMap(({ catalog, steps }) => (steps.length === 0 ? [] : (catalog ?? []))))].sort()
}

/** An error CONFIG for each model whose table cannot be where its name says. */
export function catalogProblems(project: Project, models: readonly Model[]): MillraceError[] {
  const others = models.filter((model) => model.relation.catalog !== null && hasTable(model.kind))
  if (others.length === 0) return []
  const attached = attachedCatalogs(project)
  const misplaced = others.filter(({ relation }) => attached.get(relation.catalog ?? '') !== null)
  return misplaced.map((model) => catalogProblem(model, project, attached))
}

function catalogProblem(
  model: Model,
  project: Project,
  attached: ReadonlyMap<string, NotWritable | null>,
): MillraceError {
  const catalog = model.relation.catalog ?? ''
  const refusal = attached.get(catalog) ?? null
  const place = { file: model.file, line: model.line }
  if (refusal !== null) {
    const message = `model '${model.name}': connection.catalogs.${catalog} ${refusal.reason}; nothing can be written to it`
    return new MillraceError('CONFIG', message, { ...place, hint: refusal.hint })
  }
  const known = [project.defaultCatalog, ...attached.keys()]
  const near = nearest(catalog, known)
  return new MillraceError(
    'CONFIG',
    `model '${model.name}': the connection has no catalog '${catalog}'; it has ${known.map((name) => `'${name}'`).join(', ')}`,
    { ...place, hint: near === null ? 'Attach it under catalogs of the connection.' : `Did you mean '${near}'?` },
  )
}

function refusalOf(name: string, database: AttachedDatabase): NotWritable | null {
  if (!database.readOnly && capabilitiesOf(database) !== null) return null
  // Of what is not written to nothing but the refusal is made.
  const target = toTarget(name, database, () => {
    throw new TypeError(`a lock for ${name}, which is not written to`)
  })
  return 'reason' in target ? target : null
}
