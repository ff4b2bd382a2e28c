/** The activity behind `audit`: runs audits against what an environment has now. Builds nothing, writes nothing. */
import type { Lease } from '../connections/lease.ts'
import { classifySqlError } from '../connections/sql-errors.ts'
import { MillraceError } from '../errors.ts'
import { createModelGraph } from '../graph/model-graph.ts'
import { selectModels } from '../graph/select.ts'
import type { AuditOutcome, AuditReport, BuildInput } from '../payloads.ts'
import type { ModelDefinition } from '../project/definition.ts'
import type { Project } from '../project/project.ts'
import { renderQuery } from '../project/render-model.ts'
import { auditIsBlocking } from '../sql/audits.ts'
import { physicalRelation } from '../sql/physical.ts'
import { readEnvironment } from '../state/environments.ts'
import { assertStateReadable, readStateVersion } from '../state/schema.ts'
import { leaseCatalogs, type CatalogLeases } from './catalog-leases.ts'
import { toFailure } from './failures.ts'
import { defineModels } from './plan/define-models.ts'
import { attachedCatalogs, modelCatalogs } from './plan/model-catalogs.ts'
import { toRange, toSelection } from './plan/plan-scope.ts'
import { auditsToRun, badRowsQuery, countRows, type CheckedAudit } from './step/audit-step.ts'
import { auditOptions, type TableWork } from './step/step-work.ts'
import type { WorkerProject, WorkerProjects } from './worker-projects.ts'

/** What one call does: then the next one begins, so that none lasts too long and each answer fits into a payload. */
const PAGE_MS = 30_000
const PAGE_AUDITS = 200

export interface AuditInput extends Pick<
  BuildInput,
  'project' | 'environment' | 'gateway' | 'select' | 'exclude' | 'start' | 'end' | 'vars' | 'lockTimeoutSeconds'
> {
  executionMs: number
  /** Audits that were run by earlier calls. */
  offset: number
}

export interface AuditPage {
  report: AuditReport
  /** Where the next call begins; null after the last. */
  next: number | null
}

/** @throws MillraceError USAGE when the environment has never been built, and for a range without a moment in it; SELECTION. */
export async function auditModels(projects: WorkerProjects, input: AuditInput): Promise<AuditPage> {
  try {
    const { project, worker } = await projects.load(input.project, {
      ...(input.gateway === undefined ? {} : { gateway: input.gateway }),
      ...(input.vars === undefined ? {} : { vars: input.vars }),
    })
    if (!worker.databaseExists()) throw neverBuilt(project, environmentOf(input))
    await using leases = leaseCatalogs(worker, {
      holder: 'audit',
      lockTimeoutMs: (input.lockTimeoutSeconds ?? 60) * 1000,
    })
    return await runPage(project, { worker, leases, input })
  } catch (error) {
    throw toFailure(error)
  }
}

interface Auditing {
  worker: WorkerProject
  leases: CatalogLeases
  input: AuditInput
}

/** One audit; a standalone one has no call. */
interface AuditTask {
  definition: ModelDefinition
  version: string
  audit: CheckedAudit | null
}

async function runPage(project: Project, auditing: Auditing): Promise<AuditPage> {
  const { input } = auditing
  const { tasks, missing } = await findTasks(project, auditing)
  const startedMs = Date.now()
  const audits: AuditOutcome[] = []
  for (const task of tasks.slice(input.offset, input.offset + PAGE_AUDITS)) {
    audits.push(await runTask(task, auditing))
    if (Date.now() - startedMs > PAGE_MS) break
  }
  const next = input.offset + audits.length
  const report = { project: project.name, environment: environmentOf(input), audits, missing }
  return { report, next: next < tasks.length ? next : null }
}

async function findTasks(
  project: Project,
  { leases, input }: Auditing,
): Promise<{ tasks: AuditTask[]; missing: string[] }> {
  const environment = environmentOf(input)
  const models = project.models.filter((model) => model.enabled)
  const graph = createModelGraph(models)
  const selected = selectModels(graph, toSelection(input))
  const main = await leases.in(null)
  const stateVersion = await readStateVersion(main)
  assertStateReadable(stateVersion)
  const built = stateVersion === 0 ? [] : (await readEnvironment(main, project.name, environment)).models
  if (built.length === 0) throw neverBuilt(project, environment)

  const versions = new Map(built.map(({ model, version }) => [model, version]))
  const placed = graph.names.flatMap((name) => {
    const version = versions.get(name)
    return version === undefined ? [] : [{ name, kind: graph.get(name).kind.name, version }]
  })
  const several = modelCatalogs(project, models).length > 0
  const catalogs = several ? { main: main.database.catalog, attached: [...attachedCatalogs(project).keys()] } : null
  const definitions = defineModels(project, models, { plan: { models: placed }, catalogs })
  const chosen = placed.filter(({ name }) => selected.has(name))
  const tasks = chosen.flatMap(({ name, kind, version }): AuditTask[] => {
    const definition = definitions.get(name)?.definition
    if (definition === undefined) return []
    if (kind === 'AUDIT') return [{ definition, version, audit: null }]
    return auditsToRun(definition).map((audit) => ({ definition, version, audit }))
  })
  const missing = models.filter(
    ({ name, kind, audits }) =>
      selected.has(name) && !versions.has(name) && (audits.length > 0 || kind.name === 'AUDIT'),
  )
  return { tasks, missing: missing.map(({ name }) => name) }
}

async function runTask({ definition, version, audit }: AuditTask, auditing: Auditing): Promise<AuditOutcome> {
  const startedMs = Date.now()
  const { model } = definition
  const blocking = audit !== null && auditIsBlocking(audit.call, audit.definition)
  const lease = await auditing.leases.in(audit === null ? null : model.relation.catalog)
  const work = toTableWork(definition, version, auditing)
  const result = await countBad(lease, work, audit)
  const bad = result.failures > 0 || result.message !== null
  return {
    model: model.name,
    name: audit?.call.name ?? model.name,
    args: audit?.call.args ?? {},
    blocking,
    status: bad ? (blocking ? 'fail' : 'warn') : 'pass',
    failures: result.failures,
    durationMs: Date.now() - startedMs,
    message: result.message,
  }
}

/** @throws what ends the whole command: an error of the connection. */
async function countBad(
  lease: Lease,
  work: TableWork,
  audit: CheckedAudit | null,
): Promise<{ failures: number; message: string | null }> {
  try {
    const query =
      audit === null ? await renderQuery(work.definition, auditOptions(work)) : await badRowsQuery(lease, work, audit)
    return { failures: await countRows(lease, query), message: null }
  } catch (error) {
    if (error instanceof MillraceError) return { failures: 0, message: error.message }
    const { kind, message } = classifySqlError(error)
    if (kind === 'connection') throw error
    return { failures: 0, message }
  }
}

function toTableWork(definition: ModelDefinition, version: string, { worker, input }: Auditing): TableWork {
  const ranged = input.start !== undefined || input.end !== undefined
  const { start, end } = toRange({ ...input, environment: environmentOf(input) })
  return {
    definition,
    table: physicalRelation(definition.model.relation, version),
    executionMs: input.executionMs,
    step: { interval: ranged ? [start ?? 0, end] : null },
    project: worker,
  }
}

function environmentOf({ environment = 'prod' }: AuditInput): string {
  return environment
}

function neverBuilt({ name }: Project, environment: string): MillraceError {
  return new MillraceError('USAGE', `environment '${environment}' of project '${name}' has not been built yet`, {
    hint: 'build it first: audits look at its tables',
  })
}
