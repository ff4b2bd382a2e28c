/** What a kind's write needs to know of a step; its table is made if it must be there. */
import { MillraceError } from '../../errors.ts'
import { hasInterval, type ModelKind } from '../../project/model.ts'
import { renderExpression } from '../../project/render-model.ts'
import type { KindInput, TableColumn } from '../../sql/kinds/kind-write.ts'
import { isHistory, updatedAtOf } from '../../sql/kinds/scd-columns.ts'
import { timeEdgeIsBlurred } from '../../sql/materialize.ts'
import { nothingLoaded } from '../../state/ledger.ts'
import { evolveTable } from './evolve-table.ts'
import { keepComments } from './step-comments.ts'
import { ensureTable } from './step-statements.ts'
import { columnType, renderOptions, tableColumns, type StepWork } from './step-work.ts'

export interface StepKindInput extends Omit<KindInput, 'staged'> {
  /** Statements that make the table fit the query, in the step's transaction before the write. */
  alterations: string[]
  warnings: string[]
}

/**
 * Before the step's transaction begins.
 * @param rendered the query of the step's rows.
 * @throws MillraceError MODEL when the time column is missing, or too coarse for the model's intervals; SCHEMA_CHANGE.
 */
export async function kindInput(work: StepWork, rendered: string): Promise<StepKindInput> {
  const { definition, table, step, lease } = work
  const { model } = definition
  const isKept = hasInterval(model.kind)
  if (isKept || model.self_referencing) await ensureTable(work, rendered)
  const found = isKept && step.interval !== null ? await tableColumns(lease, work) : []
  if (isKept) await keepComments(work, found)
  const { statements: alterations, columns, query, warnings } = await evolveTable(work, found, rendered)
  const { time_column: time } = model.kind
  assertUpdatedAt(work, columns)
  if (time !== undefined && step.interval !== null) {
    await assertFineEnough(work, {
      time,
      type: columnType(work, columns, { option: 'time_column', column: time.column }),
      interval: step.interval,
    })
  }
  const kind = await renderKind(work)
  return {
    kind,
    table,
    columns,
    partitionedBy: model.partitioned_by,
    query,
    interval: step.interval,
    executionMs: work.executionMs,
    isFirstLoad: nothingLoaded(step.version),
    alterations,
    warnings,
  }
}

/** What the step's result tells besides its numbers. */
export function toldOf({ warnings }: StepKindInput): { warnings?: string[] } {
  return warnings.length === 0 ? {} : { warnings }
}

/** The SQL among a kind's options is SQL of the step. */
async function renderKind(work: StepWork): Promise<ModelKind> {
  const { model } = work.definition
  const kind = { ...model.kind }
  const options = renderOptions(work, 'evaluating')
  for (const option of ['when_matched', 'merge_filter'] as const) {
    const text = kind[option]
    if (text !== undefined) kind[option] = await renderExpression({ text, line: model.line }, work.definition, options)
  }
  return kind
}

/** @throws MillraceError MODEL when a history's query does not say when a row was changed. */
function assertUpdatedAt(work: StepWork, columns: readonly TableColumn[]): void {
  const { kind } = work.definition.model
  const column = isHistory(kind) ? updatedAtOf(kind) : null
  if (column !== null && columns.length > 0) columnType(work, columns, { option: 'updated_at_name', column })
}

interface TimedRange {
  time: NonNullable<ModelKind['time_column']>
  type: string
  interval: readonly [number, number]
}

/**
 * A column of days cannot hold hours: deleting an hour would delete its day.
 * @throws MillraceError MODEL when the last value before the interval is the first one in it.
 */
async function assertFineEnough(work: StepWork, { time, type, interval }: TimedRange): Promise<void> {
  const { model } = work.definition
  if (['day', 'month', 'year'].includes(model.interval_unit)) return
  const [edge] = await work.lease.rows<{ coarse: boolean }>(
    `SELECT ${timeEdgeIsBlurred(time, type, interval[0])} AS coarse`,
  )
  if (edge?.coarse !== true) return
  throw new MillraceError(
    'MODEL',
    `model '${model.name}': expected a time_column that tells one ${model.interval_unit} from the next; '${time.column}' is ${type} with format '${time.format}'`,
    {
      file: model.file,
      line: model.line,
      hint: 'use a TIMESTAMP column or a finer format, or an interval_unit of a day',
    },
  )
}
