/**
 * Builds that wait for an environment, in the order in which they will have it. Those that preempt have positions below zero: they
 * go ahead of all others, the latest first.
 */
import type { Lease } from '../connections/lease.ts'
import type { BuildId } from '../payloads.ts'
import { quoteString } from '../sql/identifiers.ts'

export interface QueuePlace {
  project: string
  environment: string
}

export interface QueueEntry extends BuildId {
  position: number
}

/** The next one first. */
export async function readQueue(
  session: Pick<Lease, 'rows'>,
  { project, environment }: QueuePlace,
): Promise<QueueEntry[]> {
  const rows = await session.rows<{ workflow_id: string; run_id: string; position: number }>(
    `SELECT workflow_id, run_id, position::DOUBLE AS position FROM millrace.build_queue
     WHERE project = $1 AND environment = $2 ORDER BY millrace.build_queue.position, entered_at, run_id`,
    [project, environment],
  )
  return rows.map(({ workflow_id, run_id, position }) => ({ workflowId: workflow_id, runId: run_id, position }))
}

/** SQL that puts a build into the queue, once: one that is in it keeps its place. */
export function enterQueue({ project, environment }: QueuePlace, build: BuildId, end: 'front' | 'back'): string {
  const [own, ...texts] = [build.runId, project, environment, build.workflowId].map(quoteString)
  const [inProject, inEnvironment, workflowId] = texts
  const position =
    end === 'front' ? 'least(coalesce(min(position), 0), 0) - 1' : 'greatest(coalesce(max(position), 0), 0) + 1'
  return `INSERT INTO millrace.build_queue
    SELECT ${inProject}, ${inEnvironment}, ${position}, ${workflowId}, ${own}, now()::TIMESTAMP FROM millrace.build_queue
    WHERE project = ${inProject} AND environment = ${inEnvironment}
    HAVING NOT EXISTS (SELECT 1 FROM millrace.build_queue WHERE run_id = ${own})`
}

/** SQL that takes builds out of the queue. */
export function leaveQueue(builds: readonly BuildId[]): string {
  return `DELETE FROM millrace.build_queue WHERE run_id IN (${builds.map(({ runId }) => quoteString(runId)).join(', ')})`
}
