/** The ledger: which intervals of which version are built, and the recorded result of each step that built them. */
import type { Lease } from '../connections/lease.ts'
import type { Coverage } from '../graph/plan-context.ts'
import type { Interval } from '../graph/intervals.ts'
import type { AuditResult } from '../payloads.ts'
import { quoteString } from '../sql/identifiers.ts'
import { toTimestamp } from './timestamps.ts'

type Session = Pick<Lease, 'run' | 'rows'>

/** What a committed step did; times are epoch ms. */
export interface StepResult {
  /** Null for a view. */
  rows: number | null
  /** Left out, since their time is outside the interval. */
  rowsFiltered: number
  /** Left out, since another row of the batch has their key; absent in records of older versions. */
  rowsDuplicate?: number
  interval: readonly [number, number] | null
  audits: AuditResult[]
  /** Of what was done to the table's columns; absent: none. */
  warnings?: string[]
  attempts: number
  startedMs: number
  endedMs: number
}

/** The numbers of a result before anything is measured. */
export const NOTHING_WRITTEN = { rows: null, rowsFiltered: 0, rowsDuplicate: 0 } satisfies Partial<StepResult>

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

/** How many units of `range` are recorded for a version, made from the same seeds. */
export async function countUnits(
  session: Session,
  { version, inputs }: Pick<UnitRecord, 'version' | 'inputs'>,
  range: Interval,
): Promise<number> {
  const [row] = await session.rows<{ units: number }>(
    `SELECT count(*)::DOUBLE AS units FROM millrace.ledger
     WHERE version = $1 AND unit_start >= $2::TIMESTAMP AND unit_start < $3::TIMESTAMP AND inputs = $4`,
    [version, toTimestamp(range.start), toTimestamp(range.end), inputs],
  )
  return row?.units ?? 0
}

/** The recorded result of a step; null when it never committed. */
export async function readStep(session: Session, step: string): Promise<StepResult | null> {
  return toResult(await session.rows<{ result: string }>(selectStep(step)))
}

/** SQL that makes steps of one version serial: of two transactions that run it at once the second conflicts. */
export function fenceUpdate(version: string): string {
  return `UPDATE millrace.fences SET steps = steps + 1 WHERE version = ${quoteString(version)}`
}

/** SQL that is true until a range of time is recorded of a version. */
export function nothingLoaded(version: string): string {
  return `NOT EXISTS (SELECT 1 FROM millrace.ledger WHERE version = ${quoteString(version)} AND unit_end > unit_start)`
}

function selectStep(step: string): string {
  return `SELECT result FROM millrace.steps WHERE step = ${quoteString(step)}`
}

function toResult([row]: readonly { result: string }[]): StepResult | null {
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

/**
 * SQL that records a step's result; it belongs into the step's transaction.
 * @param measured SQL of a JSON object with what only the transaction knows of the result.
 */
export function stepRecord(
  { step, workflowId, runId, index, model, version, result }: StepRecord,
  measured: string | null = null,
): string {
  const texts = [step, workflowId, runId].map(quoteString).join(', ')
  const names = [model, version].map(quoteString).join(', ')
  const known = quoteString(JSON.stringify(result))
  const whole = measured === null ? known : `CAST(json_merge_patch(${known}, ${measured}) AS VARCHAR)`
  return `INSERT INTO millrace.steps VALUES (${texts}, ${index}, ${names}, ${whole}, now()::TIMESTAMP)`
}

export interface UnitRecord {
  version: string
  step: string
  inputs: string
  /** Something may be recorded already, and makes room. Else it is refused: somebody else recorded it. */
  replace: boolean
}

/**
 * SQL that records the `units` of `range`.
 * A unit that another attempt records at the same time fails the commit.
 */
export function unitRecords(
  { version, step, inputs, replace }: UnitRecord,
  range: Interval,
  units: readonly Interval[],
): string {
  const rows = quoteString(JSON.stringify(units.map(({ start, end }) => [start, end])))
  const room = `DELETE FROM millrace.ledger WHERE version = ${quoteString(version)}
    AND unit_start >= ${timestamp(range.start)} AND unit_start < ${timestamp(range.end)};`
  return `${replace ? room : ''}
    INSERT INTO millrace.ledger
    SELECT ${quoteString(version)}, make_timestamp_ms(row[1]), make_timestamp_ms(row[2]), ${quoteString(step)}, ${quoteString(inputs)}
    FROM (SELECT unnest(from_json(${rows}, '[["BIGINT"]]')) AS row)`
}

/** SQL that records a version by one row, whatever it covers. */
export function wholeRecord({ version, step, inputs, replace }: UnitRecord, interval: Interval | null): string {
  const { start, end } = interval ?? { start: 0, end: 0 }
  const texts = [step, inputs].map(quoteString).join(', ')
  const room = `DELETE FROM millrace.ledger WHERE version = ${quoteString(version)};`
  return `${replace ? room : ''}
    INSERT INTO millrace.ledger VALUES (${quoteString(version)}, ${timestamp(start)}, ${timestamp(end)}, ${texts})`
}

function timestamp(ms: number): string {
  return `TIMESTAMP ${quoteString(toTimestamp(ms))}`
}
