/** The activity that ends a build: promotes when every step succeeded, records how each model ended, has the log written into the file. */
import type { Lease } from '../connections/lease.ts'
import { MillraceError } from '../errors.ts'
import type { BuildCounts, FinishInput, ModelProblem } from '../payloads.ts'
import { dropOldBuilds, endBuild, readBuild, releaseEnvironment, type PlannedBuild } from '../state/builds.ts'
import { promotionScript, PROMOTION_RACE, readPromoter, type Promotion } from '../state/environments.ts'
import { readOutcomes } from '../state/outcomes.ts'
import { readStateVersion } from '../state/schema.ts'
import { toFailure } from './failures.ts'
import { startHeartbeat } from './heartbeat.ts'
import { countStatuses, toModelReports, toProblems } from './model-reports.ts'
import type { WorkerProjects } from './worker-projects.ts'

export interface FinishedBuild {
  promoted: boolean
  counts: BuildCounts
  problems: ModelProblem[]
}

/** @returns null when the build was never planned. */
export async function finishBuild(projects: WorkerProjects, input: FinishInput): Promise<FinishedBuild | null> {
  using heartbeat = startHeartbeat('finish')
  try {
    const project = await projects.open(input.project, input.gateway)
    await using lease = await project.lease({
      holder: 'finish',
      signal: heartbeat.signal,
      auth: heartbeat.auth,
      lockTimeoutMs: input.lockTimeoutSeconds * 1000,
      onWaiting: (message) => heartbeat.say(message),
    })
    if ((await readStateVersion(lease)) === 0) return null
    const build = await readBuild(lease, input.build.runId)
    if (build === null) {
      await lease.run(releaseEnvironment(input.build))
      return null
    }
    heartbeat.say('promoting')
    const promoted = input.status === 'succeeded' && build.promotion !== null && (await promote(lease, build.promotion))
    const finished = await record(lease, build, input, promoted)
    // Makes the file small. Nobody waits for it: what is committed is safe in the log.
    void lease.checkpoint()
    return finished
  } catch (error) {
    if (heartbeat.signal.aborted) throw heartbeat.signal.reason
    throw toFailure(error)
  }
}

/** All changed views in one transaction; an attempt after one that committed finds that it did. */
async function promote(lease: Lease, promotion: Promotion): Promise<boolean> {
  if ((await readPromoter(lease, promotion)) === promotion.promotedBy) return true
  try {
    await lease.script(promotionScript(promotion))
    return true
  } catch (error) {
    // Any error of a commit leaves its outcome open: the environment's record decides.
    if ((await readPromoter(lease, promotion)) === promotion.promotedBy) return true
    if (error instanceof Error && error.message.includes(PROMOTION_RACE)) throw environmentChanged(promotion)
    throw error
  }
}

async function record(
  lease: Lease,
  build: PlannedBuild,
  input: FinishInput,
  promoted: boolean,
): Promise<FinishedBuild> {
  const reports = toModelReports(build.models, await readOutcomes(lease, build), input.ending)
  const ended = { ...build, status: input.status, promoted, startedMs: input.startedMs, endedMs: Date.now() }
  const old = await dropOldBuilds(lease, ended)
  await lease.script([...endBuild(ended, reports), ...old].join(';\n'))
  return { promoted, counts: countStatuses(reports), problems: toProblems(reports) }
}

function environmentChanged({ environment, project }: Promotion): MillraceError {
  return new MillraceError(
    'ENVIRONMENT_CHANGED',
    `environment '${environment}' of project '${project}' was promoted by another build meanwhile; nothing was moved`,
    { hint: 'start the build again: what it built is kept' },
  )
}
