/** Each kind's part of a step. Pure. */
import type { KindName, ModelKind, RelationName } from '../../project/model.ts'
import { createEmptyTable, createTypedTable, typedQuery } from '../materialize.ts'
import type { KindInput, KindWrite } from './kind-write.ts'
import { writePartitions } from './partition.ts'
import { historyColumns, historyQuery, isHistory, queryColumns } from './scd-columns.ts'
import { writeHistory } from './scd.ts'
import { writeTimeRange } from './time-range.ts'
import { writeUniqueKey } from './unique-key.ts'
import { writeUnmanaged } from './unmanaged.ts'
import { writeTable, writeView } from './whole.ts'

const WRITES: Partial<Record<KindName, (input: KindInput) => KindWrite>> = {
  FULL: writeTable,
  SEED: writeTable,
  VIEW: writeView,
  INCREMENTAL_BY_TIME_RANGE: writeTimeRange,
  INCREMENTAL_BY_UNIQUE_KEY: writeUniqueKey,
  INCREMENTAL_BY_PARTITION: writePartitions,
  INCREMENTAL_UNMANAGED: writeUnmanaged,
  SCD_TYPE_2: writeHistory,
  SCD_TYPE_2_BY_TIME: writeHistory,
  SCD_TYPE_2_BY_COLUMN: writeHistory,
}

export function kindWrite(input: KindInput): KindWrite {
  const write = WRITES[input.kind.name]
  if (write === undefined) throw new TypeError(`no step writes a model of kind ${input.kind.name}`)
  return write(input)
}

interface Described {
  kind: ModelKind
  columns: Record<string, string> | null
}

/** The query with each column that is declared, and that it must return, cast to its type. */
export function kindQuery({ kind, columns }: Described, query: string): string {
  return typedQuery(query, columns === null ? null : queryColumns(kind, columns))
}

/** The empty table that a kind loads into, kept when it is there already. @param query as `kindQuery` has it. */
export function createKindTable({ kind, columns }: Described, table: RelationName, query: string): string {
  const history = isHistory(kind)
  if (columns === null) return createEmptyTable(table, history ? historyQuery(kind, query) : query)
  return createTypedTable(table, history ? historyColumns(kind, columns) : columns)
}
