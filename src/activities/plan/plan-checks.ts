/** What makes a project that loads one that cannot be built here and now. */
import { typedColumns } from '../../project/cast-columns.ts'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Lease } from '../../connections/lease.ts'
import { MillraceError, nearest, ProjectError } from '../../errors.ts'
import type { Model } from '../../project/model.ts'
import { isSystemName } from '../../project/names.ts'
import type { Project } from '../../project/project.ts'
import { attachedCatalogs, catalogProblems } from './model-catalogs.ts'

type Session = Pick<Lease, 'rows'>

/** What one run of the workflow hands to the next must fit into a payload, however the steps have ended. */
const MOST_STEPS = 50_000

/** @throws MillraceError PLAN_TOO_LARGE */
export function assertPlanSize(steps: number): void {
  if (steps <= MOST_STEPS) return
  throw new MillraceError(
    'PLAN_TOO_LARGE',
    `expected a build of at most ${MOST_STEPS.toLocaleString('en')} steps; got ${steps.toLocaleString('en')}`,
    { hint: 'build a part of it first, with --select or --start and --end, or make the batches of its models larger' },
  )
}

/** @throws ProjectError with NOT_YET for everything selected that this version loads, but does not build; CONFIG for catalogs that nothing is written to. */
export function assertBuildable(project: Project, models: readonly Model[]): void {
  const problems = catalogProblems(project, models)
  const refuse = (what: string, { file, line }: { file: string; line: number }, hint: string): void => {
    problems.push(new MillraceError('NOT_YET', what, { file, line, hint }))
  }
  for (const model of models) {
    const leaveOut = `leave it out: --exclude ${model.name}`
    if (model.gateway !== null && model.gateway !== project.gateway) {
      refuse(`model '${model.name}': a gateway of its own ('${model.gateway}') is not supported yet`, model, leaveOut)
    }
    if (model.signals.length > 0) refuse(`model '${model.name}': signals are not supported yet`, model, leaveOut)
    if (model.on_virtual_update.length > 0)
      refuse(`model '${model.name}': ON_VIRTUAL_UPDATE is not supported yet`, model, leaveOut)
    if (model.self_referencing && typedColumns(model) === null) {
      problems.push(
        new MillraceError('MODEL', `model '${model.name}' reads itself: expected the type of each of its columns`, {
          file: model.file,
          line: model.line,
          hint: 'add columns (name TYPE, …) to the MODEL header, or cast each column of the query: x::TYPE AS name',
        }),
      )
    }
  }
  const statements = [...project.config.beforeAll, ...project.config.afterAll]
  const config = { file: project.config.files[0] ?? 'config.yaml', line: 1 }
  if (statements.length > 0)
    refuse('before_all and after_all are not supported yet', config, 'remove them from the config')
  if (problems.length > 0) throw new ProjectError(problems)
}

/** @throws ProjectError with USAGE for each model whose history must not be rebuilt. */
export function assertRefreshable(models: readonly Model[]): void {
  const refused = models.filter((model) => model.kind.disable_restatement === true)
  if (refused.length === 0) return
  throw new ProjectError(
    refused.map(
      ({ name, file, line }) =>
        new MillraceError(
          'USAGE',
          `model '${name}' has disable_restatement; --full-refresh would rebuild its history`,
          {
            file,
            line,
            hint: `leave it out: --exclude ${name}`,
          },
        ),
    ),
  )
}

/**
 * @param session of the main database; null when there is none yet: it will have no tables, while attached catalogs may.
 * @throws ProjectError with UNKNOWN_TABLE for each name that is neither a model nor in the database, and each file that is not there.
 */
export async function assertExternalsExist(
  project: Project,
  models: readonly Model[],
  session: Session | null,
): Promise<void> {
  const known = new Set(project.models.filter((model) => model.enabled).map((model) => model.name))
  const tables = session === null ? new Set<string>() : await readTableNames(session)
  const unread = session === null ? attachedCatalogs(project) : new Map<string, unknown>()
  const problems = models.flatMap((model) =>
    model.depends_on
      .filter(
        (name) =>
          !known.has(name) &&
          !tables.has(name) &&
          !tables.has(`main.${name}`) &&
          !isSystemName(name) &&
          !unread.has(name.split('.')[0] ?? '') &&
          !isReachableFile(name, project.root),
      )
      .map((name) => unknownTable(model, name, [...known, ...[...tables].filter((table) => !OWN_NAME.test(table))])),
  )
  if (problems.length > 0) throw new ProjectError(problems)
}

/** Nobody means a physical table or the state. */
const OWN_NAME = /^millrace(__|\.)/

/** Tables and views of every attached database, lower case; those of the main one without its name. */
async function readTableNames(session: Session): Promise<Set<string>> {
  const present = await session.rows<{ name: string }>(
    `SELECT lower(CASE WHEN database_name = current_database() THEN '' ELSE database_name || '.' END || schema_name || '.' || object) AS name
     FROM (SELECT database_name, schema_name, table_name AS object FROM duckdb_tables()
           UNION ALL SELECT database_name, schema_name, view_name FROM duckdb_views() WHERE NOT internal)`,
  )
  return new Set(present.map(({ name }) => name))
}

/** A file that is there, or that only DuckDB can look for. */
function isReachableFile(name: string, root: string): boolean {
  if (/^[a-z][a-z0-9+.-]*:/i.test(name) || /[*?[]/.test(name)) return true
  return /[/\\]|\.\w+$/.test(name) && existsSync(resolve(root, name))
}

function unknownTable(model: Model, name: string, known: string[]): MillraceError {
  const near = nearest(name, known)
  return new MillraceError(
    'UNKNOWN_TABLE',
    `model '${model.name}' reads '${name}', which is neither a model nor a table of the database`,
    {
      file: model.file,
      line: model.query?.line ?? model.line,
      ...(near === null ? {} : { hint: `Did you mean '${near}'?` }),
    },
  )
}
