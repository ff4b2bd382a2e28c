/**
 * A step as one string: fence, write, audit, record. For servers on which a transaction of many calls would outlive its client and
 * stand in the way of others: the string is committed whole or not at all, whatever becomes of whoever sent it.
 */
import { CommitOutcomeUnknown } from '../../connections/commit-outcome-unknown.ts'
import { classifySqlError } from '../../connections/sql-errors.ts'
import { uploadedTable, uploadName, type Upload } from '../../connections/upload.ts'
import { hasInterval, isSerial } from '../../project/model.ts'
import { kindWrite } from '../../sql/kinds/index.ts'
import { fenceUpdate, NOTHING_WRITTEN, readStep, type StepResult } from '../../state/ledger.ts'
import { auditGuards, guardFailure, passedAudits } from './audit-step.ts'
import { kindInput, toldOf } from './kind-input.ts'
import { readRecorded } from './other-attempt.ts'
import { inStatement, joinStatements } from './script-text.ts'
import { StepBusy } from './step-busy.ts'
import { replacedComments } from './step-comments.ts'
import { ledgerRecord, postStatements, preStatements, resultRecord, stepQuery } from './step-statements.ts'
import type { StepWork } from './step-work.ts'

/**
 * @returns the step's result, recorded now or by an earlier attempt.
 * @throws AuditFailed; CommitOutcomeUnknown when only the ledger knows how it ended; StepBusy when another attempt was first.
 */
export async function writeScript(work: StepWork): Promise<StepResult> {
  const { lease, step, attempts, first } = work
  const startedMs = Date.now()
  // A first attempt finds at its end, by the state's keys, what a later one looks up.
  const recorded = first ? null : await readRecorded(lease, work)
  if (recorded !== null) return recorded
  const { statements, measured, uploads, told } = await writing(work)
  const guards = await auditGuards(lease, work)
  const result: StepResult = {
    ...NOTHING_WRITTEN,
    ...told,
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
  told: Pick<StepResult, 'warnings'>
}

async function writing(work: StepWork): Promise<Writing> {
  const { definition, step } = work
  const { query, uploads } = await source(work)
  const before = await preStatements(work)
  const after = await postStatements(work)
  const input = await kindInput(work, query)
  const write = kindWrite({ ...input, staged: false })
  const comments = hasInterval(definition.model.kind) ? [] : await replacedComments(work, query)
  const fence = isSerial(definition.model.kind) ? [fenceUpdate(step.version)] : []
  // Temporary tables are measured behind the audits, and end with the session.
  const drops = uploads.map(({ name }) => `DROP TABLE ${uploadedTable(name)}`)
  return {
    statements: [...fence, ...before, ...input.alterations, ...write.statements, ...drops, ...after, ...comments],
    measured: write.measured ?? `'{}'`,
    uploads,
    told: toldOf(input),
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
