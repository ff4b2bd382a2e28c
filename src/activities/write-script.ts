/**
 * A step as one string: fence, write, audit, record. For servers on which a transaction of many calls would outlive its client and
 * stand in the way of others: the string is committed whole or not at all, whatever becomes of whoever sent it.
 */
import { CommitOutcomeUnknown } from '../connections/commit-outcome-unknown.ts'
import { classifySqlError } from '../connections/sql-errors.ts'
import { quoteRelation } from '../sql/identifiers.ts'
import {
  createStage,
  createTable,
  createView,
  deleteRange,
  insertFromStage,
  STAGE,
  timeFilter,
} from '../sql/materialize.ts'
import { fenceUpdate, readStep, type StepResult } from '../state/ledger.ts'
import { auditGuards, guardFailure, passedAudits } from './audit-step.ts'
import { StepBusy } from './step-busy.ts'
import { ensureTable, ledgerRecord, postStatements, preStatements, resultRecord, stepQuery } from './step-statements.ts'
import { timeColumnType, type StepWork } from './step-work.ts'
import { assertFineEnough } from './write-range.ts'

/**
 * @returns the step's result, recorded now or by an earlier attempt.
 * @throws AuditFailed; CommitOutcomeUnknown when only the ledger knows how it ended; StepBusy when another attempt was first.
 */
export async function writeScript(work: StepWork): Promise<StepResult> {
  const { lease, id, step, attempts } = work
  const startedMs = Date.now()
  const recorded = await readStep(lease, id)
  if (recorded !== null) return recorded
  const { statements, measured } = await writing(work)
  const audits = passedAudits(work)
  const result = {
    rows: null,
    rowsFiltered: 0,
    interval: step.interval,
    audits,
    attempts,
    startedMs,
    endedMs: startedMs,
  }
  const script = [
    ...statements,
    ...(await auditGuards(lease, work)),
    ledgerRecord(work),
    resultRecord(work, result, measured),
  ]
  work.say('writing; the server runs it to its end')
  await send(work, script.join(';\n'))
  const written = await readStep(lease, id)
  return { ...(written ?? result), endedMs: Date.now() }
}

interface Writing {
  statements: string[]
  /** SQL of what only the transaction knows of the result; null for a view. */
  measured: string | null
}

async function writing(work: StepWork): Promise<Writing> {
  const { definition, table, step } = work
  const kind = definition.model.kind.name
  const query = await stepQuery(work)
  const surround = (statements: string[]): string[] => [...preStatements(work), ...statements, ...postStatements(work)]
  if (kind === 'INCREMENTAL_BY_TIME_RANGE') return writingRange(work, query, surround)
  if (definition.model.self_referencing) await ensureTable(work, query)
  const fence = fenceUpdate(step.version)
  if (kind === 'VIEW') return { statements: [fence, ...surround([createView(table, query)])], measured: null }
  return {
    statements: [fence, ...surround([createTable(table, query)])],
    measured: `json_object('rows', (SELECT count(*) FROM ${quoteRelation(table)}))`,
  }
}

async function writingRange(
  work: StepWork,
  query: string,
  surround: (statements: string[]) => string[],
): Promise<Writing> {
  const { table, definition } = work
  const { interval } = work.step
  const time = definition.model.kind.time_column
  if (time === undefined) throw new TypeError('a time-range model without a time column')
  await ensureTable(work, query)
  if (interval === null) return { statements: surround([]), measured: `json_object('rows', 0)` }
  const type = await timeColumnType(work.lease, work)
  await assertFineEnough(work.lease, work, { time, type, interval })
  const filter = timeFilter(time, type, interval)
  return {
    statements: surround([createStage(query), deleteRange(table, filter), insertFromStage(table, filter)]),
    measured: `(SELECT json_object('rows', count(*) FILTER (WHERE ${filter}), 'rowsFiltered', count(*) FILTER (WHERE (${filter}) IS NOT TRUE)) FROM ${STAGE})`,
  }
}

/** A key of the ledger, or of the recorded steps, as DuckDB names it: another attempt was first. */
const STATE_KEY = /duplicate key "(?:version|step): /i

async function send(work: StepWork, script: string): Promise<void> {
  try {
    await work.lease.script(script)
  } catch (error) {
    if (error instanceof CommitOutcomeUnknown) throw error
    const audit = guardFailure(work, error)
    if (audit !== null) throw audit
    const { kind, message } = classifySqlError(error)
    if (kind === 'conflict') throw new StepBusy(error, { committed: false })
    if (kind === 'constraint' && STATE_KEY.test(message)) throw new StepBusy(error, { committed: true })
    throw error
  }
}
