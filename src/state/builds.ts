/** Builds: who builds an environment now, what was planned, how each model ended. The last 200 of an environment are kept. */
import type { Lease } from '../connections/lease.ts'
import type { BuildId, BuildStatus, ModelReport } from '../payloads.ts'
import { bulkInsert } from './bulk.ts'
import type { Promotion } from './environments.ts'
import { toTimestamp } from './timestamps.ts'

type Session = Pick<Lease, 'run' | 'rows'>

export const KEPT_BUILDS = 200

/** A model of a build as planned: which steps it has. */
export interface BuildModel {
  name: string
  kind: string
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

/** Takes the environment for a build, from whoever held it: the caller has made sure that the holder is gone. */
export async function takeEnvironment(session: Session, build: BuildRecord): Promise<void> {
  const { project, environment, workflowId, runId, startedMs } = build
  await session.run('DELETE FROM millrace.running_builds WHERE project = $1 AND environment = $2', [
    project,
    environment,
  ])
  await session.run('INSERT INTO millrace.running_builds VALUES ($1, $2, $3, $4, $5::TIMESTAMP)', [
    project,
    environment,
    workflowId,
    runId,
    toTimestamp(startedMs),
  ])
}

export async function releaseEnvironment(session: Session, { runId }: BuildId): Promise<void> {
  await session.run('DELETE FROM millrace.running_builds WHERE run_id = $1', [runId])
}

/** Records a plan; planning the same run again replaces it. */
export async function insertBuild(session: Session, build: PlannedBuild): Promise<void> {
  await session.run('DELETE FROM millrace.builds WHERE run_id = $1', [build.runId])
  await session.run('INSERT INTO millrace.builds VALUES ($1, $2, $3, $4, $5, $6, $7::TIMESTAMP, NULL, $8, $9)', [
    build.runId,
    build.workflowId,
    build.project,
    build.environment,
    build.status,
    build.promoted,
    toTimestamp(build.startedMs),
    JSON.stringify(build.models),
    JSON.stringify(build.promotion),
  ])
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

/** Ends a build's record, keeps its models' reports, and drops builds beyond the newest {@link KEPT_BUILDS} of the environment. */
export async function endBuild(session: Session, build: BuildRecord, reports: readonly ModelReport[]): Promise<void> {
  await session.run(
    'UPDATE millrace.builds SET status = $2, promoted = $3, ended_at = $4::TIMESTAMP WHERE run_id = $1',
    [build.runId, build.status, build.promoted, toTimestamp(build.endedMs ?? build.startedMs)],
  )
  await session.run('DELETE FROM millrace.build_models WHERE run_id = $1', [build.runId])
  const rows = reports.map((report, position) => ({
    run_id: build.runId,
    position,
    model: report.name,
    report: JSON.stringify(report),
  }))
  const columns = { run_id: 'VARCHAR', position: 'INTEGER', model: 'VARCHAR', report: 'VARCHAR' }
  const insert = bulkInsert('millrace.build_models', columns, rows)
  await session.run(insert.sql, insert.values)
  await releaseEnvironment(session, build)
  await dropOldBuilds(session, build)
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
  return rows.map(({ report }) => JSON.parse(report) as ModelReport)
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

async function dropOldBuilds(session: Session, { project, environment }: BuildRecord): Promise<void> {
  const old = await session.rows<{ run_id: string }>(
    `SELECT run_id FROM millrace.builds WHERE project = $1 AND environment = $2 ORDER BY started_at DESC OFFSET ${KEPT_BUILDS}`,
    [project, environment],
  )
  if (old.length === 0) return
  const runs = JSON.stringify(old.map(({ run_id }) => run_id))
  const among = `run_id IN (SELECT unnest(from_json($1, '["VARCHAR"]')))`
  await session.run(
    `DELETE FROM millrace.audit_warnings WHERE step IN (SELECT step FROM millrace.steps WHERE ${among})`,
    [runs],
  )
  for (const table of ['builds', 'build_models', 'failures']) {
    await session.run(`DELETE FROM millrace.${table} WHERE ${among}`, [runs])
  }
  // A step that the ledger still points at answers for a late attempt; the others are only history.
  await session.run(`DELETE FROM millrace.steps WHERE ${among} AND step NOT IN (SELECT step FROM millrace.ledger)`, [
    runs,
  ])
}
