/** The transaction of a step, by kind: fence, write, audit, record, commit. */
import { CommitOutcomeUnknown } from '../../connections/commit-outcome-unknown.ts'
import { classifySqlError } from '../../connections/sql-errors.ts'
import type { Transaction } from '../../connections/transaction.ts'
import { createStage, createTable, createView, STAGE } from '../../sql/materialize.ts'
import { fenceUpdate, readStep, type StepResult } from '../../state/ledger.ts'
import { runBlockingAudits } from './audit-step.ts'
import { StepBusy } from './step-busy.ts'
import { ensureTable, ledgerRecord, postStatements, preStatements, resultRecord, stepQuery } from './step-statements.ts'
import type { StepWork } from './step-work.ts'
import { writeRange, type Written } from './write-range.ts'
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
  const timeRange = work.definition.model.kind.name === 'INCREMENTAL_BY_TIME_RANGE'
  if (timeRange || work.definition.model.self_referencing) await ensureTable(work, rendered)
  const staged = writers === 'one' && canStage(work)
  if (staged) {
    // Others write while the query runs.
    work.say('reading')
    await work.lease.stage(createStage(rendered))
  }
  work.say('waiting to write')
  return work.lease.transaction(async (tx) => {
    work.say('writing')
    // Where one transaction writes at a time, nothing else is needed to make steps serial.
    if (!timeRange && writers === 'many') await fence(tx, work.step.version)
    // A first attempt finds at its end, by the ledger's keys, what a later one looks up.
    const recorded = work.first && uniqueKeys ? null : await readStep(tx, work.id)
    if (recorded !== null) return recorded

    await runAll(tx, await preStatements(work))
    const written = timeRange
      ? await writeRange(tx, work, staged ? null : rendered)
      : await writeWhole(tx, work, staged ? `FROM ${STAGE}` : rendered)
    await runAll(tx, await postStatements(work))
    work.say('auditing')
    const audits = await runBlockingAudits(tx, work)
    const { step, attempts } = work
    const result = { ...written, interval: step.interval, audits, attempts, startedMs, endedMs: Date.now() }
    work.say('committing')
    await commit(tx, work, result)
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

async function writeWhole(tx: Transaction, { table, definition }: StepWork, query: string): Promise<Written> {
  if (definition.model.kind.name === 'VIEW') {
    await tx.run(createView(table, query))
    return { rows: null, rowsFiltered: 0 }
  }
  const [created] = await tx.rows<{ Count: number | string }>(createTable(table, query))
  return { rows: Number(created?.Count ?? 0), rowsFiltered: 0 }
}

async function runAll(tx: Transaction, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await tx.run(statement)
}

/** Records the result, and commits. */
async function commit(tx: Transaction, work: StepWork, result: StepResult): Promise<void> {
  try {
    await tx.commit(`${ledgerRecord(work)};\n${resultRecord(work, result)}`)
  } catch (error) {
    if (error instanceof CommitOutcomeUnknown) throw error
    // Keys are not part of a transaction's snapshot: one that another attempt committed since it began is refused here, not at COMMIT.
    if (classifySqlError(error).kind !== 'constraint') throw error
    throw new StepBusy(error, { committed: true })
  }
}
