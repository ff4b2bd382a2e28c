/** The audits of a step: blocking ones inside its transaction, the others after the commit. */
import type { Lease } from '../../connections/lease.ts'
import { classifySqlError } from '../../connections/sql-errors.ts'
import { MillraceError } from '../../errors.ts'
import type { AuditResult } from '../../payloads.ts'
import type { AuditCall, AuditDefinition } from '../../project/model.ts'
import { macroEnvironment } from '../../project/render-model.ts'
import { auditIsBlocking, auditQuery, countQuery } from '../../sql/audits.ts'
import { quoteRelation, quoteString } from '../../sql/identifiers.ts'
import { timeFilter } from '../../sql/materialize.ts'
import { AuditFailed } from './audit-failed.ts'
import { columnType, renderOptions, tableColumns, type StepWork } from './step-work.ts'

type Session = Pick<Lease, 'run' | 'rows'>

interface CheckedAudit {
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
    const failures = await countFailures(session, work, audit)
    results.push({ name: audit.call.name, status: failures === 0 ? 'pass' : 'fail', failures })
    if (failures > 0) throw failed(work, audit.call, results)
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
    const counted = await failuresQuery(session, work, audit)
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
  const before = audits.slice(0, Number(nth)).map(toPassed)
  const results: AuditResult[] = [...before, { name: broken.call.name, status: 'fail', failures: Number(rows) }]
  return failed(work, broken.call, results)
}

/** The results of the audits that block, where none of them failed. */
export function passedAudits(work: StepWork): AuditResult[] {
  return auditsOf(work, true).map(toPassed)
}

function toPassed({ call }: CheckedAudit): AuditResult {
  return { name: call.name, status: 'pass', failures: 0 }
}

/** Runs the audits that only warn; one whose SQL fails is a warning that says why. */
export async function runWarningAudits(work: StepWork): Promise<AuditResult[]> {
  const results: AuditResult[] = []
  for (const audit of auditsOf(work, false)) {
    const { name } = audit.call
    try {
      const failures = await countFailures(work.lease, work, audit)
      results.push({ name, status: failures === 0 ? 'pass' : 'warn', failures })
    } catch (error) {
      work.signal.throwIfAborted()
      const { message } = error instanceof MillraceError ? error : classifySqlError(error)
      results.push({ name, status: 'warn', failures: 0, message })
    }
  }
  return results
}

function auditsOf({ definition }: StepWork, blocking: boolean): CheckedAudit[] {
  const own = new Map(definition.audits.map((audit) => [audit.name, audit]))
  return definition.model.audits
    .map((call) => ({ call, definition: own.get(call.name) ?? null }))
    .filter((audit) => audit.definition?.skip !== true && auditIsBlocking(audit.call, audit.definition) === blocking)
}

async function countFailures(session: Session, work: StepWork, audit: CheckedAudit): Promise<number> {
  const query = await failuresQuery(session, work, audit)
  const [row] = await session.rows<{ failures: number }>(
    `SELECT failures::DOUBLE AS failures FROM (${query}) AS counted(failures)`,
  )
  return row?.failures ?? 0
}

async function failuresQuery(session: Session, work: StepWork, { call, definition }: CheckedAudit): Promise<string> {
  const thisModel = await auditedRelation(session, work)
  const environment = macroEnvironment(work.definition, { ...renderOptions(work, 'auditing'), thisModel })
  return countQuery(await auditQuery(call, definition, environment))
}

/** What an audit looks at: the rows of the step's interval, or the whole table. */
async function auditedRelation(session: Session, work: StepWork): Promise<string> {
  const { interval } = work.step
  const time = work.definition.model.kind.time_column
  if (time === undefined || interval === null) return quoteRelation(work.table)
  const columns = await tableColumns(session, work)
  const type = columnType(work, columns, { option: 'time_column', column: time.column })
  return `(SELECT * FROM ${quoteRelation(work.table)} WHERE ${timeFilter(time, type, interval)})`
}

function failed(work: StepWork, call: AuditCall, audits: AuditResult[]): AuditFailed {
  const { model } = work.definition
  const rows = audits.at(-1)?.failures ?? 0
  const args = Object.entries(call.args).map(([name, value]) => `${name} := ${value}`)
  return new AuditFailed(
    `audit ${call.name}(${args.join(', ')}) of '${model.name}' expected no bad rows and found ${rows}; nothing was committed`,
    { file: model.file, line: model.line, audits },
  )
}
