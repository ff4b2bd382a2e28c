/** What builds were asked for, so that one can be repeated. */
import type { Lease } from '../connections/lease.ts'
import type { BuildInput } from '../payloads.ts'

/** With everything decided that a repetition must not decide anew. */
export interface RecordedInput extends BuildInput {
  /** Tells one full refresh from another: the first build's run. */
  refreshId?: string
}

/** @returns null when the state knows no such build, or not what it was asked for. */
export async function readBuildInput(session: Pick<Lease, 'rows'>, runId: string): Promise<RecordedInput | null> {
  const [row] = await session.rows<{ input: string | null }>('SELECT input FROM millrace.builds WHERE run_id = $1', [
    runId,
  ])
  return row === undefined ? null : toInput(row)
}

export interface InputSearch {
  project: string
  workflowId: string
  /** A build that does not count: the one that asks. */
  except: string
}

/** What the latest build of a workflow was asked for. @returns null when the state knows no such build; `input` null when not what it was asked for. */
export async function readLatestInput(
  session: Pick<Lease, 'rows'>,
  { project, workflowId, except }: InputSearch,
): Promise<{ input: RecordedInput | null } | null> {
  const [row] = await session.rows<{ input: string | null }>(
    `SELECT input FROM millrace.builds WHERE project = $1 AND workflow_id = $2 AND run_id <> $3
     ORDER BY started_at DESC LIMIT 1`,
    [project, workflowId, except],
  )
  return row === undefined ? null : { input: toInput(row) }
}

function toInput({ input }: { input: string | null }): RecordedInput | null {
  return input === null ? null : (JSON.parse(input) as RecordedInput)
}
