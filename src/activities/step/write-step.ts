/** The transaction of a step: fence, write what its kind says, audit, record, commit. */
import { CommitOutcomeUnknown } from '../../connections/commit-outcome-unknown.ts'
import { classifySqlError } from '../../connections/sql-errors.ts'
import type { Transaction } from '../../connections/transaction.ts'
import { hasInterval, isSerial } from '../../project/model.ts'
import { kindWrite } from '../../sql/kinds/index.ts'
import type { KindWrite } from '../../sql/kinds/kind-write.ts'
import { createStage } from '../../sql/materialize.ts'
import { fenceUpdate, NOTHING_WRITTEN, type StepResult } from '../../state/ledger.ts'
import { runBlockingAudits } from './audit-step.ts'
import { kindInput, toldOf } from './kind-input.ts'
import { readRecorded } from './other-attempt.ts'
import { joinStatements } from './script-text.ts'
import { StepBusy } from './step-busy.ts'
import { replacedComments } from './step-comments.ts'
import { ledgerRecord, postStatements, preStatements, resultRecord, stepQuery } from './step-statements.ts'
import type { StepWork } from './step-work.ts'
import { writeScript } from './write-script.ts'

/**
 * @returns the step's result, recorded now or by an earlier attempt.
 * @throws CommitOutcomeUnknown when only the ledger knows how it ended; StepBusy when another attempt was first.
 */
export async function writeStep(work: StepWork): Promise<StepResult> {
  const startedMs = Date.now()
  const { transactions, uniqueKeys, writers } = work.lease.database.capabilities
  if (transactions === 'script') return writeScript(work)
  const rendered = await stepQuery(work)
  const input = await kindInput(work, rendered)
  const staged = writers === 'one' && canStage(work)
  if (staged) {
    // Others write while the query runs.
    work.say('reading')
    await work.lease.stage(createStage(input.query))
  }
  const write = kindWrite({ ...input, staged })
  const comments = hasInterval(work.definition.model.kind) ? [] : await replacedComments(work, rendered)
  work.say('waiting to write')
  return work.lease.transaction(async (tx) => {
    work.say('writing')
    // Where one transaction writes at a time, nothing else is needed to make steps serial.
    if (isSerial(work.definition.model.kind) && writers === 'many') await fence(tx, work.step.version)
    // A first attempt finds at its end, by the ledger's keys, what a later one looks up.
    const recorded = work.first && uniqueKeys ? null : await readRecorded(tx, work)
    if (recorded !== null) return recorded

    await runAll(tx, await preStatements(work))
    await runAll(tx, input.alterations)
    const written = await runWrite(tx, write)
    await runAll(tx, await postStatements(work))
    work.say('auditing')
    const audits = await runBlockingAudits(tx, work)
    const { step, attempts } = work
    const numbers = { ...NOTHING_WRITTEN, ...written, ...toldOf(input) }
    const result = { ...numbers, interval: step.interval, audits, attempts, startedMs, endedMs: Date.now() }
    work.say('committing')
    await commit(tx, [...write.cleanup, ...comments, ledgerRecord(work), resultRecord(work, result)])
    return result
  })
}

/** What a query returns does not depend on what the step's own transaction does before it. */
function canStage({ definition: { model } }: StepWork): boolean {
  return model.kind.name !== 'VIEW' && model.pre.length === 0 && !model.self_referencing
}

async function fence(tx: Transaction, version: string): Promise<void> {
  try {
    await tx.run(fenceUpdate(version))
  } catch (error) {
    if (classifySqlError(error).kind !== 'conflict') throw error
    throw new StepBusy(error, { committed: false })
  }
}

/** @returns the numbers that the write has of itself. */
async function runWrite(tx: Transaction, { statements, measured, counted }: KindWrite): Promise<Partial<StepResult>> {
  if (!counted) {
    await runAll(tx, statements)
    return measured === null ? {} : measure(tx, measured)
  }
  await runAll(tx, statements.slice(0, -1))
  const [answer] = await tx.rows<{ Count: number | string }>(statements.at(-1) ?? '')
  return { rows: Number(answer?.Count ?? 0) }
}

async function measure(tx: Transaction, measured: string): Promise<Partial<StepResult>> {
  const [answer] = await tx.rows<{ measured: string }>(`SELECT CAST(${measured} AS VARCHAR) AS measured`)
  return JSON.parse(answer?.measured ?? '{}') as Partial<StepResult>
}

async function runAll(tx: Transaction, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await tx.run(statement)
}

/** @param statements the last ones, which record the step. */
async function commit(tx: Transaction, statements: readonly string[]): Promise<void> {
  try {
    await tx.commit(joinStatements(statements))
  } catch (error) {
    if (error instanceof CommitOutcomeUnknown) throw error
    // Keys are not part of a transaction's snapshot: one that another attempt committed since it began is refused here, not at COMMIT.
    if (classifySqlError(error).kind !== 'constraint') throw error
    throw new StepBusy(error, { committed: true })
  }
}
