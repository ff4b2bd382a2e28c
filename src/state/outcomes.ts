/** What a report needs of steps beyond the ledger: why one failed, what its audits warned of. */
import type { Lease } from '../connections/lease.ts'
import type { AuditResult, BuildId } from '../payloads.ts'
import { quoteString } from '../sql/identifiers.ts'
import type { StepResult } from './ledger.ts'

type Session = Pick<Lease, 'run' | 'rows'>

/** A step among all steps of all builds. */
export function stepId({ runId }: BuildId, index: number): string {
  return `${runId}/${index}`
}

export interface StepFailure {
  code: string
  message: string
  audits: AuditResult[]
  attempts: number
  startedMs: number
  endedMs: number
}

export async function recordFailure(
  session: Pick<Lease, 'script'>,
  step: string,
  build: BuildId,
  failure: StepFailure,
): Promise<void> {
  const texts = [step, build.workflowId, build.runId, JSON.stringify(failure)].map(quoteString)
  await session.script(replaceStep('millrace.failures', texts))
}

export async function recordWarnings(
  session: Pick<Lease, 'script'>,
  step: string,
  audits: readonly AuditResult[],
): Promise<void> {
  await session.script(replaceStep('millrace.audit_warnings', [step, JSON.stringify(audits)].map(quoteString)))
}

/** Not every database has keys that could say that a row replaces another. @param texts quoted; the first is the step. */
function replaceStep(table: string, texts: readonly string[]): string {
  return `DELETE FROM ${table} WHERE step = ${texts[0] ?? ''}; INSERT INTO ${table} VALUES (${texts.join(', ')})`
}

/** All that is recorded of a build's steps, by index. */
export interface StepOutcomes {
  results: Map<number, StepResult>
  failures: Map<number, StepFailure>
}

/** The audits of a result include those that only warn. */
export async function readOutcomes(session: Session, { runId }: BuildId): Promise<StepOutcomes> {
  const results = await session.rows<{ step_index: number; result: string; audits: string | null }>(
    `SELECT step_index, result, audits FROM millrace.steps LEFT JOIN millrace.audit_warnings USING (step) WHERE run_id = $1`,
    [runId],
  )
  const failures = await session.rows<{ step: string; failure: string }>(
    'SELECT step, failure FROM millrace.failures WHERE run_id = $1',
    [runId],
  )
  return {
    results: new Map(results.map(({ step_index, result, audits }) => [step_index, withAudits(result, audits)])),
    failures: new Map(failures.map(({ step, failure }) => [indexOf(step), JSON.parse(failure) as StepFailure])),
  }
}

/** Mean duration of each model's latest steps, in ms: what a plan's priorities go by. */
export async function readDurations(session: Session): Promise<Map<string, number>> {
  const rows = await session.rows<{ model: string; ms: number }>(
    `SELECT model, avg((result->>'endedMs')::DOUBLE - (result->>'startedMs')::DOUBLE) AS ms
     FROM (SELECT model, result, row_number() OVER (PARTITION BY model ORDER BY recorded_at DESC) AS nth FROM millrace.steps)
     WHERE nth <= 5 GROUP BY model`,
  )
  return new Map(rows.map(({ model, ms }) => [model, Math.max(1, Math.round(ms))]))
}

function withAudits(result: string, audits: string | null): StepResult {
  const parsed = JSON.parse(result) as StepResult
  return audits === null ? parsed : { ...parsed, audits: [...parsed.audits, ...(JSON.parse(audits) as AuditResult[])] }
}

function indexOf(step: string): number {
  return Number(step.slice(step.lastIndexOf('/') + 1))
}
