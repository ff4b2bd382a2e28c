/** The SQL of a step, whatever shape its transaction has: what it reads, what surrounds that, what is recorded. */
import { unitsOf } from '../../graph/intervals.ts'
import { typedColumns } from '../../project/cast-columns.ts'
import { hasInterval, type SqlText } from '../../project/model.ts'
import { renderQuery, renderStatements } from '../../project/render-model.ts'
import { createKindTable, kindQuery } from '../../sql/kinds/index.ts'
import { restatedRecord } from '../../state/restatements.ts'
import { stepRecord, unitRecords, wholeRecord, type StepResult } from '../../state/ledger.ts'
import { seedSelect } from './seed-select.ts'
import { renderOptions, type StepWork } from './step-work.ts'

/** What the step's rows come from. */
export async function stepQuery(work: StepWork): Promise<string> {
  const { definition } = work
  if (definition.model.kind.name === 'SEED') return seedSelect(work)
  return kindQuery(definition.model, await renderQuery(definition, renderOptions(work, 'evaluating')))
}

export async function preStatements(work: StepWork): Promise<string[]> {
  return statements(work, work.definition.model.pre)
}

export async function postStatements(work: StepWork): Promise<string[]> {
  return statements(work, work.definition.model.post)
}

async function statements(work: StepWork, texts: readonly SqlText[]): Promise<string[]> {
  return renderStatements(texts, work.definition, renderOptions(work, 'evaluating'))
}

/** The table that batches insert into, in a transaction of its own: all batches of a first build start at once. */
export async function ensureTable(work: StepWork, query: string): Promise<void> {
  const { lease, project, step, table, definition, signal } = work
  const { model } = definition
  const columns = model.self_referencing ? typedColumns(model) : model.columns
  const create = createKindTable({ kind: model.kind, columns }, table, query)
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

/** SQL that records what the step covers. */
export function ledgerRecord({ id, step, definition, first, lease }: StepWork): string {
  const replace = step.fresh !== true || !first || !lease.database.capabilities.uniqueKeys
  const units = { version: step.version, step: id, inputs: step.inputs, replace }
  const interval = step.interval === null ? null : { start: step.interval[0], end: step.interval[1] }
  const partwise = hasInterval(definition.model.kind) && interval !== null
  const built = partwise
    ? unitRecords(units, interval, unitsOf(interval, definition.model.interval_unit))
    : wholeRecord(units, interval)
  if (step.restates !== true) return built
  return `${built};\n${restatedRecord(step.version, partwise ? step.interval : null)}`
}

/** SQL that records the result, for the build's report. @param measured as `stepRecord` has it. */
export function resultRecord(
  { id, build, index, step, definition }: StepWork,
  result: StepResult,
  measured: string | null = null,
): string {
  const record = { step: id, ...build, index, model: definition.model.name, version: step.version, result }
  return stepRecord(record, measured)
}
