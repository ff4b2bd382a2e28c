/** The audits of a step: blocking ones inside its transaction, the others after the commit. */
import type { Lease } from '../../connections/lease.ts'
import { classifySqlError } from '../../connections/sql-errors.ts'
import { MillraceError } from '../../errors.ts'
import type { AuditResult } from '../../payloads.ts'
import type { ModelDefinition } from '../../project/definition.ts'
import type { AuditCall, AuditDefinition } from '../../project/model.ts'
import { renderAudit } from '../../project/render-audit.ts'
import { auditIsBlocking, countQuery } from '../../sql/audits.ts'
import { quoteRelation, quoteString } from '../../sql/identifiers.ts'
import { timeFilter } from '../../sql/materialize.ts'
import { AuditFailed, type AuditFailure } from './audit-failed.ts'
import { keepRows, keepsFailures, saveRows, type Kept } from './kept-failures.ts'
import { auditOptions, tableColumns, columnType, type StepWork, type TableWork } from './step-work.ts'

type Session = Pick<Lease, 'run' | 'rows'>

export interface CheckedAudit {
  call: AuditCall
  definition: AuditDefinition | null
}

/**
 * Runs the audits that block, inside the step's transaction.
 * @throws AuditFailed when one returns rows.
 */
export async function runBlockingAudits(session: Session, work: StepWork): Promise<AuditResult[]> {
  const results: AuditResult[] = []
  for (const audit of auditsOf(work, true)) {
    const query = await badRowsQuery(session, work, audit)
    const failures = await countRows(session, query)
    results.push({ ...called(audit, work), status: failures === 0 ? 'pass' : 'fail', failures })
    if (failures === 0) continue
    const { call } = audit
    throw failed(work, call, {
      audits: results,
      rows: keepsFailures(work, call) ? await saveRows(session, work, { call, query }) : null,
    })
  }
  return results
}

/** What a guard's error begins with: the audit's place among those that block, and its bad rows. */
const GUARD = 'millrace audit'

/** SQL of each audit that blocks: a statement that fails, and its transaction with it, when the audit returns rows. */
export async function auditGuards(session: Session, work: StepWork): Promise<string[]> {
  const guards: string[] = []
  for (const [nth, audit] of auditsOf(work, true).entries()) {
    const raised = `error(${quoteString(`${GUARD} ${nth}: `)} || failures)`
    const counted = countQuery(await badRowsQuery(session, work, audit))
    guards.push(`SELECT CASE WHEN failures > 0 THEN ${raised} END FROM (${counted}) AS counted(failures)`)
  }
  return guards
}

/** Null when the error is not a guard's. */
export function guardFailure(work: StepWork, error: unknown): AuditFailed | null {
  const [, nth, rows] = new RegExp(`${GUARD} (\\d+): (\\d+)`).exec(classifySqlError(error).message) ?? []
  const audits = auditsOf(work, true)
  const broken = audits[Number(nth ?? -1)]
  if (broken === undefined) return null
  const before = audits.slice(0, Number(nth)).map((audit) => toPassed(audit, work))
  const results: AuditResult[] = [...before, { ...called(broken, work), status: 'fail', failures: Number(rows) }]
  const lost = keepsFailures(work, broken.call) ? { reason: 'the transaction was one string on a server' } : null
  return failed(work, broken.call, { audits: results, rows: lost })
}

/** The results of the audits that block, where none of them failed. */
export function passedAudits(work: StepWork): AuditResult[] {
  return auditsOf(work, true).map((audit) => toPassed(audit, work))
}

function toPassed(audit: CheckedAudit, work: StepWork): AuditResult {
  return { ...called(audit, work), status: 'pass', failures: 0 }
}

/** With its arguments where its name does not tell it from another one. */
function called({ call: { name, args } }: CheckedAudit, { definition }: StepWork): Pick<AuditResult, 'name' | 'args'> {
  const { audits } = definition.model
  return audits.filter((other) => other.name === name).length === 1 ? { name } : { name, args }
}

/** Runs the audits that only warn; one whose SQL fails is a warning that says why. */
export async function runWarningAudits(work: StepWork): Promise<AuditResult[]> {
  const results: AuditResult[] = []
  for (const audit of auditsOf(work, false)) {
    const { call } = audit
    try {
      const query = await badRowsQuery(work.lease, work, audit)
      const failures = await countRows(work.lease, query)
      const kept = failures > 0 && keepsFailures(work, call) ? await keepRows(work, { call, query }) : null
      results.push({ ...called(audit, work), status: failures === 0 ? 'pass' : 'warn', failures, ...tableOf(kept) })
    } catch (error) {
      work.signal.throwIfAborted()
      const { message } = error instanceof MillraceError ? error : classifySqlError(error)
      results.push({ ...called(audit, work), status: 'warn', failures: 0, message })
    }
  }
  return results
}

function auditsOf({ definition }: StepWork, blocking: boolean): CheckedAudit[] {
  return auditsToRun(definition).filter((audit) => auditIsBlocking(audit.call, audit.definition) === blocking)
}

/** The audits a model calls, without those that are to be skipped. */
export function auditsToRun({ audits, model }: ModelDefinition): CheckedAudit[] {
  const own = new Map(audits.map((audit) => [audit.name, audit]))
  const called = model.audits.map((call) => ({ call, definition: own.get(call.name) ?? null }))
  return called.filter(({ definition }) => definition?.skip !== true)
}

function tableOf(kept: Kept | null): Pick<AuditResult, 'table'> {
  return kept !== null && 'table' in kept ? { table: kept.table } : {}
}

export async function countRows(session: Session, query: string): Promise<number> {
  const [row] = await session.rows<{ failures: number }>(
    `SELECT failures::DOUBLE AS failures FROM (${countQuery(query)}) AS counted(failures)`,
  )
  return row?.failures ?? 0
}

export async function badRowsQuery(session: Session, work: TableWork, audit: CheckedAudit): Promise<string> {
  const thisModel = await auditedRelation(session, work)
  const options = { ...auditOptions(work), thisModel }
  return renderAudit({ call: audit.call, audit: audit.definition }, work.definition, options)
}

/** What an audit looks at: the rows of the interval, or the whole table. */
async function auditedRelation(session: Session, work: TableWork): Promise<string> {
  const { interval } = work.step
  const time = work.definition.model.kind.time_column
  if (time === undefined || interval === null) return quoteRelation(work.table)
  const columns = await tableColumns(session, work)
  const type = columnType(work, columns, { option: 'time_column', column: time.column })
  return `(SELECT * FROM ${quoteRelation(work.table)} WHERE ${timeFilter(time, type, interval)})`
}

function failed(work: StepWork, call: AuditCall, { audits, rows }: Pick<AuditFailure, 'audits' | 'rows'>): AuditFailed {
  const { model } = work.definition
  const found = audits.at(-1)?.failures ?? 0
  const args = Object.entries(call.args).map(([name, value]) => `${name} := ${value}`)
  const rest = work.step.auditsOnly === true ? 'they are not new' : 'nothing was committed'
  return new AuditFailed(
    `audit ${call.name}(${args.join(', ')}) of '${model.name}' expected no bad rows and found ${found}; ${rest}`,
    { file: model.file, line: call.line, audits, rows },
  )
}
