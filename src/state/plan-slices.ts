/** The steps of running builds, in slices: what a workflow's next run reads its plan from. */
import type { Lease } from '../connections/lease.ts'
import type { BuildId } from '../payloads.ts'
import { quoteString } from '../sql/identifiers.ts'
import { bulkInsert } from './bulk.ts'

/** SQL that puts a build's slices in place of those it had. @param slices JSON, in order. */
export function replacePlanSlices({ runId }: BuildId, slices: readonly string[]): string[] {
  const rows = slices.map((steps, ordinal) => ({ run_id: runId, ordinal, steps }))
  const columns = { run_id: 'VARCHAR', ordinal: 'INTEGER', steps: 'VARCHAR' }
  return [dropPlanSlices({ runId }), bulkInsert('millrace.plan_slices', columns, rows)]
}

/** SQL for a build that has ended. */
export function dropPlanSlices({ runId }: Pick<BuildId, 'runId'>): string {
  return `DELETE FROM millrace.plan_slices WHERE run_id = ${quoteString(runId)}`
}

/** SQL that drops what builds left behind that never ended, once no environment is theirs any more. */
export function dropAbandonedSlices(): string {
  return 'DELETE FROM millrace.plan_slices WHERE run_id NOT IN (SELECT run_id FROM millrace.running_builds)'
}

/** @returns JSON; null where there is none. */
export async function readPlanSlice(
  session: Pick<Lease, 'rows'>,
  { runId }: BuildId,
  ordinal: number,
): Promise<string | null> {
  const [row] = await session.rows<{ steps: string }>(
    'SELECT steps FROM millrace.plan_slices WHERE run_id = $1 AND ordinal = $2',
    [runId, ordinal],
  )
  return row?.steps ?? null
}
