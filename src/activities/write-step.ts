/** The transaction of a step, by kind: fence, write, audit, record, commit. */
import { CommitOutcomeUnknown } from '../connections/commit-outcome-unknown.ts'
import { classifySqlError } from '../connections/sql-errors.ts'
import type { Transaction } from '../connections/transaction.ts'
import { unitsOf, type Interval } from '../graph/intervals.ts'
import { renderQuery, renderStatement } from '../project/render-model.ts'
import {
  createEmptyTable,
  createStage,
  createTable,
  createTypedTable,
  createView,
  STAGE,
  typedQuery,
} from '../sql/materialize.ts'
import { fenceUpdate, readStep, stepRecord, unitRecords, wholeRecord, type StepResult } from '../state/ledger.ts'
import { runBlockingAudits } from './audit-step.ts'
import { seedSelect } from './seed-select.ts'
import { StepBusy } from './step-busy.ts'
import { renderOptions, type StepWork } from './step-work.ts'
import { writeRange, type Written } from './write-range.ts'

/**
 * @returns the step's result, recorded now or by an earlier attempt.
 * @throws CommitOutcomeUnknown when only the ledger knows how it ended; StepBusy when another attempt was first.
 */
export async function writeStep(work: StepWork): Promise<StepResult> {
  const startedMs = Date.now()
  const { uniqueKeys, writers } = work.lease.database.capabilities
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

    await runStatements(tx, work, work.definition.model.pre)
    const written = timeRange
      ? await writeRange(tx, work, staged ? null : rendered)
      : await writeWhole(tx, work, staged ? `FROM ${STAGE}` : rendered)
    await runStatements(tx, work, work.definition.model.post)
    work.say('auditing')
    const audits = await runBlockingAudits(tx, work)
    const { step, attempts } = work
    const result = { ...written, interval: step.interval, audits, attempts, startedMs, endedMs: Date.now() }
    work.say('committing')
    await commit(tx, work, result)
    return result
  })
}

/** SQL that records the result, for the build's report. */
export function resultRecord({ id, build, index, step, definition }: StepWork, result: StepResult): string {
  return stepRecord({ step: id, ...build, index, model: definition.model.name, version: step.version, result })
}

async function stepQuery(work: StepWork): Promise<string> {
  const { definition } = work
  if (definition.model.kind.name === 'SEED') return seedSelect(work.lease, work)
  return typedQuery(await renderQuery(definition, renderOptions(work, 'evaluating')), definition.model.columns)
}

/** What a query returns does not depend on what the step's own transaction does before it. */
function canStage({ definition: { model } }: StepWork): boolean {
  return model.kind.name !== 'VIEW' && model.pre.length === 0 && !model.self_referencing
}

/** The table that batches insert into, in a transaction of its own: all batches of a first build start at once. */
async function ensureTable(work: StepWork, query: string): Promise<void> {
  const { lease, project, step, table, definition, signal } = work
  const { columns } = definition.model
  const create = columns === null ? createEmptyTable(table, query) : createTypedTable(table, columns)
  for (;;) {
    let own = false
    try {
      return await project.together(step.version, () => {
        own = true
        return lease.run(create)
      })
    } catch (error) {
      // Made by the first for all who ask meanwhile: when that one was cancelled, that is no failure of the others.
      if (own || signal.aborted) throw error
    }
  }
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

async function runStatements(
  tx: Transaction,
  work: StepWork,
  statements: readonly { text: string; line: number }[],
): Promise<void> {
  const options = renderOptions(work, 'evaluating')
  for (const statement of statements) await tx.run(renderStatement(statement, work.definition, options))
}

/** Records the result, and commits. */
async function commit(tx: Transaction, work: StepWork, result: StepResult): Promise<void> {
  const { id, step, definition, lease } = work
  const replace = step.fresh !== true || !work.first || !lease.database.capabilities.uniqueKeys
  const units = { version: step.version, step: id, inputs: step.inputs, replace }
  const interval = toInterval(step.interval)
  const ledger =
    definition.model.kind.name === 'INCREMENTAL_BY_TIME_RANGE' && interval !== null
      ? unitRecords(units, interval, unitsOf(interval, definition.model.interval_unit))
      : wholeRecord(units, interval)
  try {
    await tx.commit(`${ledger};\n${resultRecord(work, result)}`)
  } catch (error) {
    if (error instanceof CommitOutcomeUnknown) throw error
    // Keys are not part of a transaction's snapshot: one that another attempt committed since it began is refused here, not at COMMIT.
    if (classifySqlError(error).kind !== 'constraint') throw error
    throw new StepBusy(error, { committed: true })
  }
}

function toInterval(interval: readonly [number, number] | null): Interval | null {
  return interval === null ? null : { start: interval[0], end: interval[1] }
}
