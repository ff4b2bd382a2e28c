/** INCREMENTAL_UNMANAGED: appends; with `insert_overwrite` it replaces the partitions of the batch. Pure. */
import { insertStaged } from '../materialize.ts'
import { DROP_STAGE, NOTHING_DUE, STAGED_ROWS, staging, type KindInput, type KindWrite } from './kind-write.ts'
import { writePartitions } from './partition.ts'

export function writeUnmanaged(input: KindInput): KindWrite {
  const { table, columns, interval, kind } = input
  if (kind.insert_overwrite === true) return writePartitions(input)
  if (interval === null) return NOTHING_DUE
  return {
    statements: [...staging(input), insertStaged(table, columns)],
    measured: STAGED_ROWS,
    counted: false,
    cleanup: [DROP_STAGE],
  }
}
