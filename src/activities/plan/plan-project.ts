/**
 * The activity that plans a build: reads the worker's copy of the folder, takes the environment, and stores what will be
 * built, so that the steps build what was planned.
 */
import { Context } from '@temporalio/activity'
import { ApplicationFailure } from '@temporalio/common'
import { MillraceError } from '../../errors.ts'
import { toSlices } from '../../graph/plan-slices.ts'
import { ON_CONFLICT, type BuildId, type BuildPlan, type Occupied, type PlanRequest } from '../../payloads.ts'
import { projectHash, modelHashes } from '../../project/project-hash.ts'
import type { Project } from '../../project/project.ts'
import { resolveSeedPath } from '../../project/seeds.ts'
import { ENVIRONMENT_TAKEN, insertBuild, takeEnvironment, type PlannedBuild } from '../../state/builds.ts'
import { dropAbandonedSlices, replacePlanSlices } from '../../state/plan-slices.ts'
import { promotedCatalogs } from '../../state/promotion.ts'
import { ensureState, readStateVersion } from '../../state/schema.ts'
import { leaseCatalogs, type CatalogLeases } from '../catalog-leases.ts'
import { controlActivity } from '../control-activity.ts'
import { attachedCatalogs } from './model-catalogs.ts'
import { makePlan, type MadePlan } from './planner.ts'
import { planPromotion } from './plan-promotion.ts'
import { restatementNotices } from './plan-report.ts'
import { assertPlannable } from './plan-scope.ts'
import { toBuildModels } from '../report/model-reports.ts'
import { prepareSteps } from './prepare-steps.ts'
import { endBegunPromotions } from '../promote.ts'
import { sliceHash } from './read-plan-slice.ts'
import { decideRequest, toRecordedInput, toRepeated, type DecidedRequest } from './repeat-build.ts'
import { keepSeed } from '../step/seed-select.ts'
import { assertFresh, freshnessNotices } from './source-freshness.ts'
import { takeTurn, type Turn, type TurnRequest } from '../queue/take-turn.ts'
import type { WorkerProject, WorkerProjects } from '../worker-projects.ts'

/** @returns what comes before, when another build has the environment and this one waits for its turn. */
export async function planProject(projects: WorkerProjects, asked: PlanRequest): Promise<BuildPlan | Occupied> {
  return controlActivity('plan', async (heartbeat) => {
    const request = await decideRequest(projects, asked, heartbeat)
    const { project, worker } = await projects.load(request.project, {
      ...(request.gateway === undefined ? {} : { gateway: request.gateway }),
      ...(request.vars === undefined ? {} : { vars: request.vars }),
    })
    assertSameProject(project, request.projectHash)
    const options = { ...request, environment: request.environment ?? 'prod' }
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
    const asks = toTurnRequest(project, request)
    const { waitsFor, gone } = await takeTurn(lease, asks)
    if (waitsFor !== null) return occupied(project, asks, waitsFor)
    heartbeat.say('planning')
    const attached = attachedCatalogs(project).size > 0
    if (attached) await endBegunPromotions(leases, project.name)
    // What was planned for no database holds for an empty one; attached ones may have been there before.
    const made =
      first !== null && !attached && (await readStateVersion(lease)) === 0
        ? first
        : await makePlan(project, leases, options)
    assertFresh(made.sources)
    try {
      return await planInto({ project, worker, leases, request, made, gone })
    } catch (error) {
      if (!lostRace(error)) throw error
      const again = await takeTurn(await leases.in(null), asks)
      if (again.waitsFor === null) throw planAgain()
      return occupied(project, asks, again.waitsFor)
    }
  })
}

interface Planning {
  project: Project
  worker: WorkerProject
  leases: CatalogLeases
  request: DecidedRequest
  made: MadePlan
  gone: Turn['gone']
}

async function planInto({ project, worker, leases, request, made, gone }: Planning): Promise<BuildPlan> {
  const environment = request.environment ?? 'prod'
  const promotion = await planPromotion(project, made, leases, {
    environment,
    build: request.build,
    adopt: request.adopt === true,
  })
  const main = await leases.in(null)
  await ensureState(main)
  for (const model of made.plan.models) {
    if (model.kind !== 'SEED' || model.batches.length === 0 || model.auditsOnly) continue
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
  const slices = toSlices(made.steps)
  const recorded = [
    ...takeEnvironment(build, gone),
    ...prepared,
    ...insertBuild(build, toRecordedInput(request)),
    ...replacePlanSlices(
      build,
      slices.map((slice) => JSON.stringify(slice)),
    ),
    dropAbandonedSlices(),
  ]
  await lease.script(recorded.join(';\n'))
  for (const { hash, definition } of made.definitions.values()) worker.keepDefinition(hash, definition)
  return {
    project: project.name,
    environment,
    gateway: project.gateway,
    stepCount: made.steps.length,
    slices: slices.map(sliceHash),
    steps: slices[0] ?? [],
    unchanged: build.models.filter((model) => model.steps.length === 0).length,
    promotes: promotion !== null,
    ...(request.retryOf === undefined ? {} : { repeats: toRepeated(request) }),
    concurrentTasks: worker.concurrentTasks,
    notices: [...project.notices, ...restatementNotices(made.plan), ...freshnessNotices(made.sources)],
  }
}

/** @throws MillraceError USAGE */
function toTurnRequest(
  project: Project,
  { environment = 'prod', build, restate, onConflict = 'reject' }: PlanRequest,
): TurnRequest {
  if (onConflict === 'join' && restate !== undefined) {
    throw new MillraceError(
      'USAGE',
      "onConflict: a restatement cannot join another build, which restates nothing; got 'join'",
      {
        hint: 'wait for its turn: queue',
      },
    )
  }
  if (ON_CONFLICT.includes(onConflict)) return { project: project.name, environment, build, onConflict }
  throw new MillraceError('USAGE', `onConflict: expected ${ON_CONFLICT.join(', ')}; got ${JSON.stringify(onConflict)}`)
}

function occupied(project: Project, { environment }: TurnRequest, waitsFor: BuildId): Occupied {
  return { project: project.name, environment, gateway: project.gateway, waitsFor }
}

const MAX_RACES = 10

/** Another build came first: its record says so, or what both were about to store is there by now. */
function lostRace(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error.message.includes(ENVIRONMENT_TAKEN)) return true
  return /duplicate key/i.test(error.message) && Context.current().info.attempt < MAX_RACES
}

/** Whoever came first has ended meanwhile: what it built is not in this plan. */
function planAgain(): ApplicationFailure {
  const message = 'another build has had the environment meanwhile; planning again'
  return ApplicationFailure.create({ type: 'ENVIRONMENT_CHANGED', message, nextRetryDelay: 100, category: 'BENIGN' })
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
