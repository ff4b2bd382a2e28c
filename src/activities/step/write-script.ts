/**
 * A step as one string: fence, write, audit, record. For servers on which a transaction of many calls would outlive its client and
 * stand in the way of others: the string is committed whole or not at all, whatever becomes of whoever sent it.
 */
import { CommitOutcomeUnknown } from '../../connections/commit-outcome-unknown.ts'
import { classifySqlError } from '../../connections/sql-errors.ts'
import { uploadedTable, uploadName, type Upload } from '../../connections/upload.ts'
import { quoteRelation } from '../../sql/identifiers.ts'
import {
  createStage,
  createTable,
  createView,
  deleteRange,
  insertFromStage,
  STAGE,
  timeFilter,
} from '../../sql/materialize.ts'
import { fenceUpdate, readStep, type StepResult } from '../../state/ledger.ts'
import { auditGuards, guardFailure, passedAudits } from './audit-step.ts'
import { inStatement, joinStatements } from './script-text.ts'
import { StepBusy } from './step-busy.ts'
import { ensureTable, ledgerRecord, postStatements, preStatements, resultRecord, stepQuery } from './step-statements.ts'
import { timeColumnType, type StepWork } from './step-work.ts'
import { assertFineEnough } from './write-range.ts'

/**
 * @returns the step's result, recorded now or by an earlier attempt.
 * @throws AuditFailed; CommitOutcomeUnknown when only the ledger knows how it ended; StepBusy when another attempt was first.
 */
export async function writeScript(work: StepWork): Promise<StepResult> {
  const { lease, id, step, attempts, first } = work
  const startedMs = Date.now()
  // A first attempt finds at its end, by the state's keys, what a later one looks up.
  const recorded = first ? null : await readStep(lease, id)
  if (recorded !== null) return recorded
  const { statements, measured, uploads } = await writing(work)
  const guards = await auditGuards(lease, work)
  const result: StepResult = {
    rows: null,
    rowsFiltered: 0,
    interval: step.interval,
    audits: passedAudits(work),
    attempts,
    startedMs,
    endedMs: Date.now(),
  }
  const record = resultRecord(work, result, `json_merge_patch(${measured}, ${endedMs(result)})`)
  work.say('writing; the server runs it to its end')
  await send(work, [...statements, ...guards, ledgerRecord(work), record], uploads)
  return (await readWritten(work)) ?? result
}

interface Writing {
  statements: string[]
  /** SQL of a JSON object: what only the transaction knows of the result. */
  measured: string
  /** What the statements read of this machine. */
  uploads: Upload[]
}

async function writing(work: StepWork): Promise<Writing> {
  const { definition, table, step } = work
  const kind = definition.model.kind.name
  const { query, uploads } = await source(work)
  const before = await preStatements(work)
  const after = await postStatements(work)
  const surround = (statements: string[]): string[] => [...before, ...statements, ...after]
  if (kind === 'INCREMENTAL_BY_TIME_RANGE') return writingRange(work, query, surround)
  if (definition.model.self_referencing) await ensureTable(work, query)
  const fence = fenceUpdate(step.version)
  if (kind === 'VIEW') {
    return { statements: [fence, ...surround([createView(table, query)])], measured: `'{}'`, uploads }
  }
  const drops = uploads.map(({ name }) => `DROP TABLE ${uploadedTable(name)}`)
  return {
    statements: [fence, ...surround([createTable(table, query), ...drops])],
    measured: `json_object('rows', (SELECT count(*) FROM ${quoteRelation(table)}))`,
    uploads,
  }
}

/** What the step's rows come from; those of a seed are brought to a server that cannot see its file. */
async function source(work: StepWork): Promise<{ query: string; uploads: Upload[] }> {
  const query = await stepQuery(work)
  const { localFiles } = work.lease.database.capabilities
  if (localFiles || work.definition.model.kind.name !== 'SEED') return { query, uploads: [] }
  const name = uploadName()
  return { query: `FROM ${uploadedTable(name)}`, uploads: [{ name, query }] }
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
  if (interval === null) return { statements: surround([]), measured: `json_object('rows', 0)`, uploads: [] }
  const type = await timeColumnType(work.lease, work)
  await assertFineEnough(work.lease, work, { time, type, interval })
  const filter = timeFilter(time, type, interval)
  return {
    statements: surround([createStage(query), deleteRange(table, filter), insertFromStage(table, filter)]),
    measured: `(SELECT json_object('rows', count(*) FILTER (WHERE ${filter}), 'rowsFiltered', count(*) FILTER (WHERE (${filter}) IS NOT TRUE)) FROM ${STAGE})`,
    uploads: [],
  }
}

/** SQL of the result's end by this machine's clock: the server says only how long its transaction has taken. */
function endedMs({ endedMs: sentMs }: StepResult): string {
  const elapsed = 'epoch_ms(uuid_extract_timestamp(uuidv7())) - epoch_ms(now())'
  return `json_object('endedMs', ${sentMs} + greatest(0, ${elapsed}))`
}

/** A key of the ledger, or of the recorded steps, as DuckDB names it: another attempt was first. */
const STATE_KEY = /duplicate key "(?:version|step): /i
/** The fence, which is an UPDATE. */
const FENCED = /Conflict on update/i

async function send(work: StepWork, statements: readonly string[], uploads: readonly Upload[]): Promise<void> {
  try {
    await work.lease.script(joinStatements(statements), uploads)
  } catch (error) {
    if (error instanceof CommitOutcomeUnknown) throw error
    const audit = guardFailure(work, error)
    if (audit !== null) throw audit
    const { kind, message } = classifySqlError(error)
    // What an earlier attempt sent may run on, whatever became of its worker: it is waited for.
    if (kind === 'conflict' && (FENCED.test(message) || !work.first)) throw new StepBusy(error, { committed: false })
    if (kind === 'constraint' && STATE_KEY.test(message)) throw new StepBusy(error, { committed: true })
    throw inStatement(error, statements)
  }
}

/** Null when it cannot be read any more: the step is committed all the same. */
async function readWritten({ lease, id }: StepWork): Promise<StepResult | null> {
  try {
    return await readStep(lease, id)
  } catch {
    return null
  }
}
