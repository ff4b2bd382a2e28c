/**
 * INCREMENTAL_BY_UNIQUE_KEY: rows of a key that is there are updated, the others inserted. Of several rows with one key in a batch the
 * one that sorts last over all columns counts; NULL sorts before every value. Pure.
 */
import { quoteIdentifier, quoteRelation } from '../identifiers.ts'
import { assertColumns, STAGE } from '../materialize.ts'
import { keyNames, matchesKey } from './keys.ts'
import { DROP_STAGE, NOTHING_DUE, staging, type KindInput, type KindWrite } from './kind-write.ts'
import { MERGE_SOURCE, MERGE_TARGET, renameMergeColumns, sourceColumn } from './merge-clauses.ts'

/** The batch with one row for each key. Its columns have names that a table's expressions do not mean. */
const BATCH = 'millrace_batch'

export function writeUniqueKey(input: KindInput): KindWrite {
  const { table, columns, interval, kind } = input
  if (interval === null) return NOTHING_DUE
  const key = kind.unique_key ?? []
  return {
    statements: [
      ...staging(input),
      assertColumns(table, columns),
      createBatch(
        key,
        columns.map(({ name }) => name),
      ),
      merge(input, key),
    ],
    measured: `(SELECT json_object('rows', batch.n, 'rowsDuplicate', stage.n - batch.n)
      FROM (SELECT count(*) AS n FROM ${BATCH}) AS batch, (SELECT count(*) AS n FROM ${STAGE}) AS stage)`,
    counted: false,
    cleanup: [DROP_STAGE, `DROP TABLE ${BATCH}`],
  }
}

function createBatch(key: readonly string[], columns: readonly string[]): string {
  const renamed = columns.map((name) => `${quoteIdentifier(name)} AS ${sourceColumn(name)}`)
  const latest = columns.map((name) => `${quoteIdentifier(name)} DESC NULLS LAST`)
  const expressions = key.map((expression) => `(${expression})`)
  return `CREATE OR REPLACE TEMP TABLE ${BATCH} AS SELECT ${[keyNames(key), ...renamed].join(', ')} FROM ${STAGE}
    QUALIFY row_number() OVER (PARTITION BY ${expressions.join(', ')} ORDER BY ${latest.join(', ')}) = 1`
}

function merge({ table, columns, kind }: KindInput, key: readonly string[]): string {
  const names = columns.map(({ name }) => name)
  const assigned = names.map((name) => `${quoteIdentifier(name)} = ${MERGE_SOURCE}.${sourceColumn(name)}`)
  const values = names.map((name) => `${MERGE_SOURCE}.${sourceColumn(name)}`)
  const matched =
    kind.when_matched === undefined
      ? `WHEN MATCHED THEN UPDATE SET ${assigned.join(', ')}`
      : renameMergeColumns(kind.when_matched)
  const filter = kind.merge_filter === undefined ? '' : ` AND (${renameMergeColumns(kind.merge_filter)})`
  return `MERGE INTO ${quoteRelation(table)} AS ${MERGE_TARGET} USING ${BATCH} AS ${MERGE_SOURCE}
    ON ${matchesKey(key, MERGE_SOURCE)}${filter}
    ${matched}
    WHEN NOT MATCHED THEN INSERT (${names.map(quoteIdentifier).join(', ')}) VALUES (${values.join(', ')})`
}
