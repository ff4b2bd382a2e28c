/**
 * The activity that plans a build: reads the worker's copy of the folder, takes the environment, and stores what will be
 * built, so that the steps build what was planned.
 */
import { Context } from '@temporalio/activity'
import type { Client } from '@temporalio/client'
import type { Lease } from '../connections/lease.ts'
import { MillraceError } from '../errors.ts'
import type { BuildId, BuildInput, BuildPlan, PlanRequest } from '../payloads.ts'
import { projectHash, modelHashes } from '../project/project-hash.ts'
import type { Project } from '../project/project.ts'
import { resolveSeedPath } from '../project/seeds.ts'
import { insertBuild, readRunningBuild, takeEnvironment, type PlannedBuild } from '../state/builds.ts'
import { promotedCatalogs } from '../state/promotion.ts'
import { ensureState, readStateVersion } from '../state/schema.ts'
import { leaseCatalogs, type CatalogLeases } from './catalog-leases.ts'
import { toFailure } from './failures.ts'
import { startHeartbeat } from './heartbeat.ts'
import { attachedCatalogs } from './model-catalogs.ts'
import { makePlan, type MadePlan } from './planner.ts'
import { planPromotion } from './plan-promotion.ts'
import { assertPlannable } from './plan-scope.ts'
import { toBuildModels } from './model-reports.ts'
import { prepareSteps } from './prepare-steps.ts'
import { endBegunPromotions } from './promote.ts'
import { keepSeed } from './seed-select.ts'
import type { WorkerProject, WorkerProjects } from './worker-projects.ts'

export async function planProject(projects: WorkerProjects, request: PlanRequest): Promise<BuildPlan> {
  using heartbeat = startHeartbeat('plan')
  try {
    const { project, worker } = await projects.load(request.project, {
      ...(request.gateway === undefined ? {} : { gateway: request.gateway }),
      ...(request.vars === undefined ? {} : { vars: request.vars }),
    })
    assertSameProject(project, request.projectHash)
    const options = { ...request, environment: request.environment ?? 'prod', refreshId: request.build.runId }
    assertPlannable(project, options)
    // Opening makes the file: only for a plan that holds.
    const first = worker.databaseExists() ? null : await makePlan(project, null, options)
    heartbeat.say('waiting for the database')
    await using leases = leaseCatalogs(worker, {
      holder: 'plan',
      signal: heartbeat.signal,
      lockTimeoutMs: (request.lockTimeoutSeconds ?? 60) * 1000,
      onWaiting: (message) => heartbeat.say(message),
    })
    const lease = await leases.in(null)
    heartbeat.say('planning')
    const attached = attachedCatalogs(project).size > 0
    if (attached) await endBegunPromotions(leases, project.name)
    // What was planned for no database holds for an empty one; attached ones may have been there before.
    const made =
      first !== null && !attached && (await readStateVersion(lease)) === 0
        ? first
        : await makePlan(project, leases, options)
    return await planInto({ project, worker, leases, request, made })
  } catch (error) {
    if (heartbeat.signal.aborted) throw heartbeat.signal.reason
    throw toFailure(error)
  }
}

interface Planning {
  project: Project
  worker: WorkerProject
  leases: CatalogLeases
  request: PlanRequest
  made: MadePlan
}

async function planInto({ project, worker, leases, request, made }: Planning): Promise<BuildPlan> {
  const environment = request.environment ?? 'prod'
  const promotion = await planPromotion(project, made, leases, {
    environment,
    build: request.build,
    adopt: request.adopt === true,
  })
  const main = await leases.in(null)
  await ensureState(main)
  await assertEnvironmentFree(main, project.name, environment, request.build)
  for (const model of made.plan.models) {
    if (model.kind !== 'SEED' || model.batches.length === 0) continue
    const file = project.models.find(({ name }) => name === model.name)
    if (file === undefined) continue
    await keepSeed(project.root, await resolveSeedPath(file.kind.path ?? '', file, project.root), model.inputs)
  }

  const build: PlannedBuild = {
    ...request.build,
    project: project.name,
    environment,
    status: 'running',
    promoted: false,
    startedMs: Date.now(),
    endedMs: null,
    models: toBuildModels(made),
    promotion,
  }
  // The main database last: what has a record there has everything it needs in the others.
  for (const catalog of new Set([...made.catalogs, ...(promotion === null ? [] : promotedCatalogs(promotion))])) {
    const other = await leases.in(catalog)
    await ensureState(other)
    const statements = await prepareSteps(other, project.name, { made, catalog })
    if (statements.length > 0) await other.script(statements.join(';\n'))
  }
  const lease = await leases.in(null)
  const prepared = await prepareSteps(lease, project.name, { made, catalog: null })
  await lease.script([...takeEnvironment(build), ...prepared, ...insertBuild(build, toBuildInput(request))].join(';\n'))
  for (const { hash, definition } of made.definitions.values()) worker.keepDefinition(hash, definition)
  return {
    project: project.name,
    environment,
    gateway: project.gateway,
    steps: made.steps,
    unchanged: build.models.filter((model) => model.steps.length === 0).length,
    promotes: promotion !== null,
    concurrentTasks: worker.concurrentTasks,
    notices: project.notices,
  }
}

/** What was asked for, without what the workflow added. */
function toBuildInput(request: PlanRequest): BuildInput {
  const { build, executionMs, ...input } = request
  void [build, executionMs]
  return input
}

/** @throws MillraceError PROJECT_MISMATCH whose hint is the worker's hash of each model, for the client to name those that differ. */
function assertSameProject(project: Project, sent: string | undefined): void {
  if (sent === undefined || sent === projectHash(project)) return
  throw new MillraceError(
    'PROJECT_MISMATCH',
    `the worker's copy of project '${project.name}' is not the one that was sent`,
    {
      hint: JSON.stringify(modelHashes(project)),
    },
  )
}

/** @throws MillraceError BUILD_RUNNING when another build of the environment goes on. */
async function assertEnvironmentFree(
  lease: Lease,
  project: string,
  environment: string,
  build: BuildId,
): Promise<void> {
  const holder = await readRunningBuild(lease, project, environment)
  if (holder === null || holder.runId === build.runId) return
  if (!(await isRunning(Context.current().client, holder))) return
  throw new MillraceError(
    'BUILD_RUNNING',
    `environment '${environment}' of project '${project}' is being built by '${holder.workflowId}' (run ${holder.runId})`,
    {
      hint: `wait for it, follow it with \`watch ${holder.workflowId}\`, or stop it with \`cancel ${holder.workflowId}\``,
    },
  )
}

/** A holder that Temporal does not know, or knows as ended, left its claim behind when it was killed. */
async function isRunning(client: Client, { workflowId, runId }: BuildId): Promise<boolean> {
  try {
    const description = await client.workflow.getHandle(workflowId, runId).describe()
    return description.status.name === 'RUNNING'
  } catch (error) {
    if (error instanceof Error && error.name === 'WorkflowNotFoundError') return false
    throw error
  }
}
