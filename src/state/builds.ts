/** Builds: who builds an environment now, what was planned, how each model ended. The last 200 of an environment are kept. */
import type { Lease } from '../connections/lease.ts'
import {
  emptyCounts,
  type BuildCounts,
  type BuildId,
  type BuildStatus,
  type ModelReport,
  type ModelStatus,
} from '../payloads.ts'
import { quoteString } from '../sql/identifiers.ts'
import { leaveQueue } from './build-queue.ts'
import { bulkInsert } from './bulk.ts'
import type { RecordedInput } from './build-inputs.ts'
import { dropPlanSlices } from './plan-slices.ts'
import type { Promotion } from './promotion.ts'
import { toTimestamp } from './timestamps.ts'

type Session = Pick<Lease, 'run' | 'rows'>

export const KEPT_BUILDS = 200

/** A model of a build as planned: which steps it has. */
export interface BuildModel {
  name: string
  kind: string
  /** The attached catalog that it is in, and its steps are recorded in; absent for the main database. */
  catalog?: string
  reason: string | null
  /** Indices of its steps; none: unchanged. */
  steps: number[]
  /** ISO 8601 in UTC. */
  intervals: [string, string][]
  /** A change that needs no step, but is promoted. */
  promotedOnly: boolean
}

export interface BuildRecord extends BuildId {
  project: string
  environment: string
  status: BuildStatus
  promoted: boolean
  startedMs: number
  endedMs: number | null
}

export interface PlannedBuild extends BuildRecord {
  models: BuildModel[]
  /** Null when the environment would stay as it is. */
  promotion: Promotion | null
}

/** The build that holds an environment; null when none does. */
export async function readRunningBuild(
  session: Session,
  project: string,
  environment: string,
): Promise<BuildId | null> {
  const [row] = await session.rows<{ workflow_id: string; run_id: string }>(
    'SELECT workflow_id, run_id FROM millrace.running_builds WHERE project = $1 AND environment = $2',
    [project, environment],
  )
  return row === undefined ? null : { workflowId: row.workflow_id, runId: row.run_id }
}

/** Text of the error when another build has taken the environment. */
export const ENVIRONMENT_TAKEN = 'millrace: another build took the environment'

/** SQL that takes the environment for a build; refused when another build has it. @param gone has it by the state's word alone. */
export function takeEnvironment(build: BuildRecord, gone: BuildId | null = null): string[] {
  const { project, environment, workflowId, runId, startedMs } = build
  const taken = [project, environment, workflowId, runId].map(quoteString).join(', ')
  const place = `project = ${quoteString(project)} AND environment = ${quoteString(environment)}`
  const mayGo = [runId, ...(gone === null ? [] : [gone.runId])].map(quoteString).join(', ')
  return [
    `DELETE FROM millrace.running_builds WHERE ${place} AND run_id IN (${mayGo})`,
    `SELECT CASE WHEN EXISTS (SELECT 1 FROM millrace.running_builds WHERE ${place}) THEN error(${quoteString(ENVIRONMENT_TAKEN)}) END`,
    `INSERT INTO millrace.running_builds VALUES (${taken}, ${timestamp(startedMs)})`,
    leaveQueue([build]),
  ]
}

/** SQL that gives the environment back. */
export function releaseEnvironment({ runId }: BuildId): string {
  return `DELETE FROM millrace.running_builds WHERE run_id = ${quoteString(runId)}`
}

/** SQL that records a plan; planning the same run again replaces it. @param asked what was asked for. */
export function insertBuild(build: PlannedBuild, asked: RecordedInput): string[] {
  const { runId, workflowId, project, environment, status, promoted, startedMs } = build
  const texts = [runId, workflowId, project, environment, status].map(quoteString).join(', ')
  const [plan, promotion, input] = [build.models, build.promotion, asked].map((document) =>
    quoteString(JSON.stringify(document)),
  )
  return [
    `DELETE FROM millrace.builds WHERE run_id = ${quoteString(runId)}`,
    `INSERT INTO millrace.builds VALUES (${texts}, ${promoted}, ${timestamp(startedMs)}, NULL, ${plan}, ${promotion}, ${input})`,
  ]
}

/** @returns null when the state knows no such build. */
export async function readBuild(session: Session, runId: string): Promise<PlannedBuild | null> {
  const rows = await session.rows<BuildRow & { plan: string; promotion: string }>(
    `SELECT ${BUILD_COLUMNS}, plan, promotion FROM millrace.builds WHERE run_id = $1`,
    [runId],
  )
  const [row] = rows
  if (row === undefined) return null
  return {
    ...toRecord(row),
    models: JSON.parse(row.plan) as BuildModel[],
    promotion: JSON.parse(row.promotion) as Promotion | null,
  }
}

/** The latest build of an environment; null when there was none. */
export async function readLatestBuild(
  session: Session,
  project: string,
  environment: string,
): Promise<BuildRecord | null> {
  const [row] = await session.rows<BuildRow>(
    `SELECT ${BUILD_COLUMNS} FROM millrace.builds WHERE project = $1 AND environment = $2 ORDER BY started_at DESC LIMIT 1`,
    [project, environment],
  )
  return row === undefined ? null : toRecord(row)
}

/** The latest run of a workflow; null when the state knows none. */
export async function readBuildOf(session: Session, workflowId: string): Promise<BuildRecord | null> {
  const [row] = await session.rows<BuildRow>(
    `SELECT ${BUILD_COLUMNS} FROM millrace.builds WHERE workflow_id = $1 ORDER BY started_at DESC LIMIT 1`,
    [workflowId],
  )
  return row === undefined ? null : toRecord(row)
}

/** SQL that ends a build's record, keeps its models' reports, and drops builds beyond the newest {@link KEPT_BUILDS} of the environment. */
export function endBuild(build: BuildRecord, reports: readonly ModelReport[]): string[] {
  const { runId, status, promoted, startedMs, endedMs } = build
  const rows = reports.map((report, position) => ({
    run_id: runId,
    position,
    model: report.name,
    report: JSON.stringify(report),
  }))
  const columns = { run_id: 'VARCHAR', position: 'INTEGER', model: 'VARCHAR', report: 'VARCHAR' }
  return [
    `UPDATE millrace.builds SET status = ${quoteString(status)}, promoted = ${promoted}, ended_at = ${timestamp(endedMs ?? startedMs)} WHERE run_id = ${quoteString(runId)}`,
    `DELETE FROM millrace.build_models WHERE run_id = ${quoteString(runId)}`,
    ...(rows.length === 0 ? [] : [bulkInsert('millrace.build_models', columns, rows)]),
    dropPlanSlices(build),
    releaseEnvironment(build),
  ]
}

/**
 * SQL that drops the builds of an environment beyond the newest {@link KEPT_BUILDS}; none when there are no others. Attached
 * catalogs hold steps of theirs, too: there it is run as it is.
 */
export async function dropOldBuilds(session: Session, { project, environment }: BuildRecord): Promise<string[]> {
  const old = await session.rows<{ run_id: string }>(
    `SELECT run_id FROM millrace.builds WHERE project = $1 AND environment = $2 ORDER BY started_at DESC OFFSET ${KEPT_BUILDS}`,
    [project, environment],
  )
  if (old.length === 0) return []
  const among = `run_id IN (${old.map(({ run_id }) => quoteString(run_id)).join(', ')})`
  return [
    `DELETE FROM millrace.audit_warnings WHERE step IN (SELECT step FROM millrace.steps WHERE ${among})`,
    ...['builds', 'build_models', 'failures'].map((table) => `DELETE FROM millrace.${table} WHERE ${among}`),
    // A step that the ledger still points at answers for a late attempt; the others are only history.
    `DELETE FROM millrace.steps WHERE ${among} AND step NOT IN (SELECT step FROM millrace.ledger)`,
  ]
}

/** Reports of an ended build's models, in the plan's order, from `offset`. */
export async function readReports(
  session: Session,
  runId: string,
  offset: number,
  limit: number,
): Promise<ModelReport[]> {
  const rows = await session.rows<{ report: string }>(
    'SELECT report FROM millrace.build_models WHERE run_id = $1 AND position >= $2 AND position < $3 ORDER BY position',
    [runId, offset, offset + limit],
  )
  return rows.map(({ report }) => ({ ...UNKNOWN_BEFORE, ...(JSON.parse(report) as ModelReport) }))
}

/** What reports of older builds do not have. */
const UNKNOWN_BEFORE = { rowsDuplicate: 0, warnings: [] } satisfies Partial<ModelReport>

/** Models that failed in an environment's latest build that has ended. */
export async function readFailedModels(session: Session, project: string, environment: string): Promise<string[]> {
  const rows = await session.rows<{ report: string }>(
    `SELECT report FROM millrace.build_models WHERE report LIKE '%"status":"error"%' AND run_id = (
       SELECT run_id FROM millrace.builds WHERE project = $1 AND environment = $2 AND ended_at IS NOT NULL
       ORDER BY started_at DESC LIMIT 1)`,
    [project, environment],
  )
  const reports = rows.map(({ report }) => JSON.parse(report) as ModelReport)
  return reports.filter(({ status }) => status === 'error').map(({ name }) => name)
}

/** How many models of an ended build ended how. */
export async function countReports(session: Session, runId: string): Promise<BuildCounts> {
  const rows = await session.rows<{ status: ModelStatus; models: number }>(
    `SELECT report->>'status' AS status, count(*)::DOUBLE AS models FROM millrace.build_models WHERE run_id = $1 GROUP BY ALL`,
    [runId],
  )
  return { ...emptyCounts(), ...Object.fromEntries(rows.map(({ status, models }) => [status, models])) }
}

const BUILD_COLUMNS = `run_id, workflow_id, project, environment, status, promoted,
  epoch_ms(started_at)::DOUBLE AS started_ms, epoch_ms(ended_at)::DOUBLE AS ended_ms`

interface BuildRow {
  run_id: string
  workflow_id: string
  project: string
  environment: string
  status: BuildStatus
  promoted: boolean
  started_ms: number
  ended_ms: number | null
}

function toRecord(row: BuildRow): BuildRecord {
  return {
    runId: row.run_id,
    workflowId: row.workflow_id,
    project: row.project,
    environment: row.environment,
    status: row.status,
    promoted: row.promoted,
    startedMs: row.started_ms,
    endedMs: row.ended_ms,
  }
}

function timestamp(ms: number): string {
  return `TIMESTAMP ${quoteString(toTimestamp(ms))}`
}
