/** INCREMENTAL_BY_TIME_RANGE: deletes and inserts exactly the step's interval; rows outside it are left out and counted. Pure. */
import { deleteRange, insertStaged, STAGE, timeFilter } from '../materialize.ts'
import { DROP_STAGE, NOTHING_DUE, staging, type KindInput, type KindWrite } from './kind-write.ts'

export function writeTimeRange(input: KindInput): KindWrite {
  const { table, columns, interval, kind } = input
  if (interval === null) return NOTHING_DUE
  const time = kind.time_column
  const type = columns.find(({ name }) => name.toLowerCase() === time?.column.toLowerCase())?.type
  if (time === undefined || type === undefined) throw new TypeError('a time-range table without its time column')
  const filter = timeFilter(time, type, interval)
  return {
    statements: [...staging(input), deleteRange(table, filter), insertStaged(table, columns, filter)],
    measured: `(SELECT json_object('rows', count(*) FILTER (WHERE ${filter}), 'rowsFiltered', count(*) FILTER (WHERE (${filter}) IS NOT TRUE)) FROM ${STAGE})`,
    counted: false,
    cleanup: [DROP_STAGE],
  }
}
