/** The activity that ends a build: promotes when every step succeeded, records how each model ended, has the log written into the file. */
import type { BuildCounts, FinishInput, ModelProblem } from '../payloads.ts'
import { dropOldBuilds, endBuild, readBuild, releaseEnvironment, type PlannedBuild } from '../state/builds.ts'
import { ensureState, readStateVersion, STATE_VERSION } from '../state/schema.ts'
import { leaseCatalogs, type CatalogLeases } from './catalog-leases.ts'
import { controlActivity } from './control-activity.ts'
import { buildCatalogs } from './plan/model-catalogs.ts'
import { countStatuses, toModelReports, toProblems } from './report/model-reports.ts'
import { promote } from './promote.ts'
import { readOutcomesOf } from './report/read-outcomes.ts'
import type { WorkerProjects } from './worker-projects.ts'

export interface FinishedBuild {
  promoted: boolean
  counts: BuildCounts
  problems: ModelProblem[]
}

/** @returns null when the build was never planned. */
export async function finishBuild(projects: WorkerProjects, input: FinishInput): Promise<FinishedBuild | null> {
  return controlActivity('finish', async (heartbeat) => {
    const project = await projects.open(input.project, input.gateway)
    await using leases = leaseCatalogs(project, {
      holder: 'finish',
      signal: heartbeat.signal,
      lockTimeoutMs: input.lockTimeoutSeconds * 1000,
      onWaiting: (message) => heartbeat.say(message),
    })
    const lease = await leases.in(null)
    const version = await readStateVersion(lease)
    if (version === 0) return null
    // The worker may have been upgraded since the build was planned.
    if (version < STATE_VERSION) await ensureState(lease)
    const build = await readBuild(lease, input.build.runId)
    if (build === null) {
      await lease.run(releaseEnvironment(input.build))
      return null
    }
    heartbeat.say('promoting')
    const promotion = input.status === 'succeeded' ? build.promotion : null
    if (promotion !== null) await promote(leases, promotion)
    const finished = await record(leases, build, input, promotion !== null)
    const main = await leases.in(null)
    // Makes the file small. Nobody waits for it: what is committed is safe in the log.
    void main.checkpoint()
    return finished
  })
}

async function record(
  leases: CatalogLeases,
  build: PlannedBuild,
  input: FinishInput,
  promoted: boolean,
): Promise<FinishedBuild> {
  const reports = toModelReports(build.models, await readOutcomesOf(leases, build), input.ending)
  const ended = { ...build, status: input.status, promoted, startedMs: input.startedMs, endedMs: Date.now() }
  const old = await dropOldBuilds(await leases.in(null), ended)
  if (old.length > 0) {
    for (const catalog of buildCatalogs(build.models)) await (await leases.in(catalog)).script(old.join(';\n'))
  }
  const main = await leases.in(null)
  await main.script([...endBuild(ended, reports), ...old].join(';\n'))
  return { promoted, counts: countStatuses(reports), problems: toProblems(reports) }
}
