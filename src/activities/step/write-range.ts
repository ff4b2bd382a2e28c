/** The rows of a time-range batch: staged, filtered by their time, put in place of the interval's old ones. */
import type { Transaction } from '../../connections/transaction.ts'
import { MillraceError } from '../../errors.ts'
import type { ModelKind } from '../../project/model.ts'
import {
  createStage,
  deleteRange,
  insertFromStage,
  STAGE,
  timeEdgeIsBlurred,
  timeFilter,
} from '../../sql/materialize.ts'
import { timeColumnType, type StepWork } from './step-work.ts'

/** What a write leaves for the record. */
export interface Written {
  /** Null for a view. */
  rows: number | null
  /** Rows whose time lies outside the interval; they are left out. */
  rowsFiltered: number
}

/**
 * Deletes and inserts exactly the step's interval; without one there is nothing to write.
 * @param query null: its rows are staged already.
 */
export async function writeRange(tx: Transaction, work: StepWork, query: string | null): Promise<Written> {
  const time = work.definition.model.kind.time_column
  if (time === undefined) throw new TypeError('a time-range model without a time column')
  const { interval } = work.step
  if (interval === null) return { rows: 0, rowsFiltered: 0 }
  const type = await timeColumnType(tx, work)
  await assertFineEnough(tx, work, { time, type, interval })
  const filter = timeFilter(time, type, interval)
  if (query !== null) await tx.run(createStage(query))
  const [counted] = await tx.rows<{ inside: number; outside: number }>(
    `SELECT count(*) FILTER (WHERE ${filter})::DOUBLE AS inside, count(*) FILTER (WHERE (${filter}) IS NOT TRUE)::DOUBLE AS outside FROM ${STAGE}`,
  )
  await tx.run(deleteRange(work.table, filter))
  await tx.run(insertFromStage(work.table, filter))
  await tx.run(`DROP TABLE ${STAGE}`)
  return { rows: counted?.inside ?? 0, rowsFiltered: counted?.outside ?? 0 }
}

export interface TimedRange {
  time: NonNullable<ModelKind['time_column']>
  type: string
  interval: readonly [number, number]
}

/**
 * A column of days cannot hold hours: deleting an hour would delete its day.
 * @throws MillraceError MODEL when the last value before the interval is the first one in it.
 */
export async function assertFineEnough(
  session: Pick<Transaction, 'rows'>,
  work: StepWork,
  { time, type, interval }: TimedRange,
): Promise<void> {
  const { model } = work.definition
  if (['day', 'month', 'year'].includes(model.interval_unit)) return
  const [edge] = await session.rows<{ coarse: boolean }>(
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
