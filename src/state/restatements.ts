/**
 * What was asked to be built again and has not been: written with the plan, taken away by the commit of the step that builds it.
 * So a restatement that fails, or dies, is not forgotten: the next build finds it.
 */
import type { Lease } from '../connections/lease.ts'
import type { Interval } from '../graph/intervals.ts'
import type { PendingRestatement } from '../graph/plan-context.ts'
import { quoteString } from '../sql/identifiers.ts'
import { bulkInsert } from './bulk.ts'
import { toTimestamp } from './timestamps.ts'

type Session = Pick<Lease, 'rows'>

/** What is pending of each version. */
export async function readPending(session: Session, project: string): Promise<Map<string, PendingRestatement>> {
  const rows = await session.rows<{ version: string; from_ms: number; to_ms: number; replaced_by: string | null }>(
    `SELECT r.version, epoch_ms(range_start)::DOUBLE AS from_ms, epoch_ms(range_end)::DOUBLE AS to_ms, replaced_by
     FROM millrace.restatements AS r JOIN millrace.versions AS v USING (version) WHERE v.project = $1
     ORDER BY r.version, range_start`,
    [project],
  )
  const pending = new Map<string, PendingRestatement>()
  for (const { version, from_ms, to_ms, replaced_by } of rows) {
    const entry = pending.get(version) ?? { intervals: [], replacedBy: replaced_by }
    entry.intervals.push({ start: from_ms, end: to_ms })
    pending.set(version, entry)
  }
  return pending
}

export interface NewRestatement {
  version: string
  /** A step's commit takes away those that lie in its interval: none is part of two steps. */
  ranges: readonly Interval[]
  replacedBy: string | null
}

/** SQL that remembers what is to be built again of versions, in place of what was remembered of them. */
export function replacePending(restatements: readonly NewRestatement[]): string[] {
  if (restatements.length === 0) return []
  const rows = restatements.flatMap(({ version, ranges, replacedBy }) =>
    ranges.map(({ start, end }) => ({
      version,
      range_start: toTimestamp(start),
      range_end: toTimestamp(end),
      replaced_by: replacedBy,
    })),
  )
  const columns = { version: 'VARCHAR', range_start: 'TIMESTAMP', range_end: 'TIMESTAMP', replaced_by: 'VARCHAR' }
  const versions = restatements.map(({ version }) => quoteString(version)).join(', ')
  return [
    `DELETE FROM millrace.restatements WHERE version IN (${versions})`,
    ...(rows.length === 0 ? [] : [bulkInsert('millrace.restatements', columns, rows)]),
  ]
}

/** SQL that forgets what other versions have taken the place of, which environments show by now. */
export function dropReplaced(): string {
  return 'DELETE FROM millrace.restatements WHERE replaced_by IN (SELECT version FROM millrace.environment_models)'
}

/** SQL that says that a step has built again what was asked for; it belongs into its transaction. @param interval null: all there is of the version. */
export function restatedRecord(version: string, interval: readonly [number, number] | null): string {
  const own = `DELETE FROM millrace.restatements WHERE version = ${quoteString(version)}`
  if (interval === null) return own
  const [start, end] = interval.map((ms) => `TIMESTAMP ${quoteString(toTimestamp(ms))}`)
  return `${own} AND range_start >= ${start} AND range_end <= ${end}`
}

/** By version, up to when its `auto_restatement_cron` was heeded; epoch ms. */
export async function readAutoRestated(session: Session, project: string): Promise<Map<string, number>> {
  const rows = await session.rows<{ version: string; heeded_ms: number }>(
    `SELECT a.version, epoch_ms(heeded_at)::DOUBLE AS heeded_ms
     FROM millrace.auto_restatements AS a JOIN millrace.versions AS v USING (version) WHERE v.project = $1`,
    [project],
  )
  return new Map(rows.map(({ version, heeded_ms }) => [version, heeded_ms]))
}

/** SQL that says that the `auto_restatement_cron` of versions is heeded up to now. */
export function recordAutoRestated(versions: readonly string[], nowMs: number): string[] {
  if (versions.length === 0) return []
  const rows = versions.map((version) => ({ version, heeded_at: toTimestamp(nowMs) }))
  return [
    `DELETE FROM millrace.auto_restatements WHERE version IN (${versions.map(quoteString).join(', ')})`,
    bulkInsert('millrace.auto_restatements', { version: 'VARCHAR', heeded_at: 'TIMESTAMP' }, rows),
  ]
}
