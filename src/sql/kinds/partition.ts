/** INCREMENTAL_BY_PARTITION: replaces every partition that the batch has rows of; NULL is a partition like others. Pure. */
import { quoteRelation } from '../identifiers.ts'
import { insertStaged, STAGE } from '../materialize.ts'
import { keyNames, matchesKey } from './keys.ts'
import { DROP_STAGE, NOTHING_DUE, STAGED_ROWS, staging, type KindInput, type KindWrite } from './kind-write.ts'

export function writePartitions(input: KindInput): KindWrite {
  const { table, columns, interval, partitionedBy } = input
  if (interval === null) return NOTHING_DUE
  return {
    statements: [
      ...staging(input),
      `DELETE FROM ${quoteRelation(table)} WHERE EXISTS (
        SELECT 1 FROM (SELECT DISTINCT ${keyNames(partitionedBy)} FROM ${STAGE}) AS batch
        WHERE ${matchesKey(partitionedBy, 'batch')})`,
      insertStaged(table, columns),
    ],
    measured: STAGED_ROWS,
    counted: false,
    cleanup: [DROP_STAGE],
  }
}
