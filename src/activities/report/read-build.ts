/** The activity that reads a build's report from the state, in pages. */
import type { Lease } from '../../connections/lease.ts'
import { toIso } from '../../graph/time.ts'
import type { BuildReport, ModelReport } from '../../payloads.ts'
import {
  countReports,
  readBuild,
  readBuildOf,
  readLatestBuild,
  readReports,
  type PlannedBuild,
} from '../../state/builds.ts'
import { readStateVersion } from '../../state/schema.ts'
import { leaseCatalogs, type CatalogLeases } from '../catalog-leases.ts'
import { toFailure } from '../failures.ts'
import { countStatuses, toModelReports } from './model-reports.ts'
import { readOutcomesOf } from './read-outcomes.ts'
import type { WorkerProjects } from '../worker-projects.ts'

/** Models of one page: usually about 100 KiB. */
const PAGE = 250
/** Payloads should stay below 256 KiB. */
const PAGE_BYTES = 200_000

export interface ReadBuildInput {
  project?: string
  gateway?: string
  environment: string
  /** Null: the latest build of the environment. */
  workflowId: string | null
  /** Null: the workflow's latest run. */
  runId: string | null
  offset: number
  lockTimeoutSeconds: number
}

export interface ReportPage {
  report: BuildReport
  /** Where the next page starts; null after the last. */
  next: number | null
}

/** @returns null when the state knows no such build. */
export async function readBuildPage(projects: WorkerProjects, input: ReadBuildInput): Promise<ReportPage | null> {
  try {
    const { name, gateway } = await projects.defaultGateway(input.project)
    const project = await projects.open(name, input.gateway ?? gateway)
    await using leases = leaseCatalogs(project, { holder: 'report', lockTimeoutMs: input.lockTimeoutSeconds * 1000 })
    return await readPage(leases, name, input)
  } catch (error) {
    throw toFailure(error)
  }
}

async function readPage(leases: CatalogLeases, project: string, input: ReadBuildInput): Promise<ReportPage | null> {
  const lease = await leases.in(null)
  if ((await readStateVersion(lease)) === 0) return null
  const runId = input.runId ?? (await findRun(lease, project, input))
  const build = runId === null ? null : await readBuild(lease, runId)
  if (build === null) return null
  const running =
    build.endedMs === null ? toModelReports(build.models, await readOutcomesOf(leases, build), null) : null
  const candidates =
    running?.slice(input.offset, input.offset + PAGE) ?? (await readReports(lease, build.runId, input.offset, PAGE))
  const models = withinBytes(candidates)
  const next = input.offset + models.length
  const counts = running === null ? await countReports(lease, build.runId) : countStatuses(running)
  return {
    report: { ...head(build), counts, models },
    next: next < build.models.length && models.length > 0 ? next : null,
  }
}

/** At least one, and as many as fit into a payload: errors may be long. */
function withinBytes(models: readonly ModelReport[]): ModelReport[] {
  const page: ModelReport[] = []
  let bytes = 0
  for (const model of models) {
    bytes += Buffer.byteLength(JSON.stringify(model))
    if (page.length > 0 && bytes > PAGE_BYTES) break
    page.push(model)
  }
  return page
}

async function findRun(
  lease: Lease,
  project: string,
  { workflowId, environment }: ReadBuildInput,
): Promise<string | null> {
  const build =
    workflowId === null ? await readLatestBuild(lease, project, environment) : await readBuildOf(lease, workflowId)
  return build?.runId ?? null
}

function head(build: PlannedBuild): Omit<BuildReport, 'counts' | 'models'> {
  const { project, environment, workflowId, runId, status, promoted, startedMs, endedMs } = build
  return {
    project,
    environment,
    workflowId,
    runId,
    status,
    promoted,
    startedAt: toIso(startedMs),
    endedAt: endedMs === null ? null : toIso(endedMs),
    durationMs: endedMs === null ? null : endedMs - startedMs,
  }
}
