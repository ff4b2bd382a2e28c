/** The ledger: which intervals of which version are built, and the recorded result of each step that built them. */
import type { Lease } from '../connections/lease.ts'
import type { Coverage } from '../graph/plan.ts'
import type { Interval } from '../graph/intervals.ts'
import type { AuditResult } from '../payloads.ts'
import { toTimestamp } from './timestamps.ts'

type Session = Pick<Lease, 'run' | 'rows'>

/** What a committed step did; times are epoch ms. */
export interface StepResult {
  rows: number | null
  rowsFiltered: number
  interval: readonly [number, number] | null
  audits: AuditResult[]
  attempts: number
  startedMs: number
  endedMs: number
}

/** What is recorded of each version, adjacent units merged. */
export async function readCoverage(session: Session, project: string): Promise<Map<string, Coverage>> {
  const rows = await session.rows<{ version: string; from_ms: number; to_ms: number; inputs: string }>(
    `WITH units AS (
       SELECT l.version, unit_start, unit_end, l.inputs,
              unit_start IS DISTINCT FROM lag(unit_end) OVER (PARTITION BY l.version ORDER BY unit_start) AS opens
       FROM millrace.ledger AS l JOIN millrace.versions AS v USING (version) WHERE v.project = $1),
     islands AS (
       SELECT *, count(*) FILTER (opens) OVER (PARTITION BY version ORDER BY unit_start) AS island FROM units)
     SELECT version, epoch_ms(min(unit_start))::DOUBLE AS from_ms, epoch_ms(max(unit_end))::DOUBLE AS to_ms,
            max_by(inputs, unit_start) AS inputs
     FROM islands GROUP BY version, island ORDER BY version, from_ms`,
    [project],
  )
  const coverage = new Map<string, Coverage>()
  for (const { version, from_ms, to_ms, inputs } of rows) {
    const entry = coverage.get(version) ?? { intervals: [], inputs }
    if (to_ms > from_ms) entry.intervals.push({ start: from_ms, end: to_ms })
    coverage.set(version, { intervals: entry.intervals, inputs })
  }
  return coverage
}

/** The units of `range` that are recorded for a version. */
export async function readUnits(session: Session, version: string, range: Interval): Promise<Interval[]> {
  const rows = await session.rows<{ start: number; end: number }>(
    `SELECT epoch_ms(unit_start)::DOUBLE AS start, epoch_ms(unit_end)::DOUBLE AS "end" FROM millrace.ledger
     WHERE version = $1 AND unit_start >= $2::TIMESTAMP AND unit_start < $3::TIMESTAMP ORDER BY unit_start`,
    [version, toTimestamp(range.start), toTimestamp(range.end)],
  )
  return rows
}

/** The recorded result of a step; null when it never committed. */
export async function readStep(session: Session, step: string): Promise<StepResult | null> {
  const [row] = await session.rows<{ result: string }>('SELECT result FROM millrace.steps WHERE step = $1', [step])
  return row === undefined ? null : (JSON.parse(row.result) as StepResult)
}

/** The result of the latest step that recorded a unit of `range`; null when none is recorded. */
export async function readStepOf(session: Session, version: string, range: Interval): Promise<StepResult | null> {
  const [row] = await session.rows<{ result: string }>(
    `SELECT s.result FROM millrace.ledger AS l JOIN millrace.steps AS s USING (step)
     WHERE l.version = $1 AND l.unit_start >= $2::TIMESTAMP AND l.unit_start < $3::TIMESTAMP
     ORDER BY s.recorded_at DESC LIMIT 1`,
    [version, toTimestamp(range.start), toTimestamp(range.end)],
  )
  return row === undefined ? null : (JSON.parse(row.result) as StepResult)
}

export interface StepRecord {
  step: string
  workflowId: string
  runId: string
  index: number
  model: string
  version: string
  result: StepResult
}

/** SQL that records a step's result; it belongs into the step's transaction. */
export async function recordStep(session: Session, record: StepRecord): Promise<void> {
  const { step, workflowId, runId, index, model, version, result } = record
  await session.run('INSERT INTO millrace.steps VALUES ($1, $2, $3, $4, $5, $6, $7, now()::TIMESTAMP)', [
    step,
    workflowId,
    runId,
    index,
    model,
    version,
    JSON.stringify(result),
  ])
}

export interface UnitRecord {
  version: string
  step: string
  inputs: string
}

/** Replaces what is recorded in `range` by its `units`. A unit that another attempt records at the same time fails the commit. */
export async function recordUnits(
  session: Session,
  record: UnitRecord,
  range: Interval,
  units: readonly Interval[],
): Promise<void> {
  const { version, step, inputs } = record
  await session.run(
    'DELETE FROM millrace.ledger WHERE version = $1 AND unit_start >= $2::TIMESTAMP AND unit_start < $3::TIMESTAMP',
    [version, toTimestamp(range.start), toTimestamp(range.end)],
  )
  await session.run(
    `INSERT INTO millrace.ledger SELECT $1, make_timestamp_ms(row[1]), make_timestamp_ms(row[2]), $2, $3
     FROM (SELECT unnest(from_json($4, '[["BIGINT"]]')) AS row)`,
    [version, step, inputs, JSON.stringify(units.map(({ start, end }) => [start, end]))],
  )
}

/** Replaces all that is recorded of a version by one row. */
export async function recordWhole(session: Session, record: UnitRecord, interval: Interval | null): Promise<void> {
  const { version, step, inputs } = record
  const { start, end } = interval ?? { start: 0, end: 0 }
  await session.run('DELETE FROM millrace.ledger WHERE version = $1', [version])
  await session.run('INSERT INTO millrace.ledger VALUES ($1, $2::TIMESTAMP, $3::TIMESTAMP, $4, $5)', [
    version,
    toTimestamp(start),
    toTimestamp(end),
    step,
    inputs,
  ])
}
