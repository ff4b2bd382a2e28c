/** Steps that write no rows: a standalone audit, and the audits of a model whose rows stay as they are. */
import { MillraceError } from '../../errors.ts'
import { classifySqlError } from '../../connections/sql-errors.ts'
import type { AuditResult } from '../../payloads.ts'
import type { AuditCall } from '../../project/model.ts'
import { renderQuery } from '../../project/render-model.ts'
import { readStep, type StepResult } from '../../state/ledger.ts'
import { countRows, runBlockingAudits } from './audit-step.ts'
import { keepRows, keepsFailures } from './kept-failures.ts'
import { joinStatements } from './script-text.ts'
import { ledgerRecord, resultRecord } from './step-statements.ts'
import { auditOptions, type StepWork } from './step-work.ts'

export function writesNothing({ definition, step }: StepWork): boolean {
  return definition.model.kind.name === 'AUDIT' || step.auditsOnly === true
}

/**
 * @returns the step's result, recorded now or by an earlier attempt.
 * @throws AuditFailed for a model's audit that blocks; a standalone one blocks nothing.
 */
export async function auditOnly(work: StepWork): Promise<StepResult> {
  const { lease, step, attempts } = work
  const startedMs = Date.now()
  const recorded = work.first ? null : await readStep(lease, work.id)
  if (recorded !== null) return recorded
  work.say('auditing')
  const standalone = work.definition.model.kind.name === 'AUDIT'
  const audits = standalone ? [await runStandalone(work)] : await runBlockingAudits(lease, work)
  const result = {
    rows: null,
    rowsFiltered: 0,
    interval: step.interval,
    audits,
    attempts,
    startedMs,
    endedMs: Date.now(),
  }
  // Of a model the ledger says what is built, which stays as it was.
  const records = [...(standalone ? [ledgerRecord(work)] : []), resultRecord(work, result)]
  await lease.script(joinStatements(records))
  return result
}

/** One whose SQL fails is a warning that says why. */
async function runStandalone(work: StepWork): Promise<AuditResult> {
  const { lease, definition } = work
  const { name } = definition.model
  try {
    const query = await renderQuery(definition, auditOptions(work))
    const failures = await countRows(lease, query)
    const call: AuditCall = { name, args: {}, blocking: false, line: definition.model.line }
    const kept = failures > 0 && keepsFailures(work, call) ? await keepRows(work, { call, query }) : null
    const table = kept !== null && 'table' in kept ? { table: kept.table } : {}
    return { name, status: failures === 0 ? 'pass' : 'warn', failures, ...table }
  } catch (error) {
    work.signal.throwIfAborted()
    const known = error instanceof MillraceError ? null : classifySqlError(error)
    // A lost connection is no fault of the audit: another attempt may have one.
    if (known?.retryable === true) throw error
    const { message } = known ?? (error as MillraceError)
    return { name, status: 'warn', failures: 0, message }
  }
}
