/** What a step of a kind does to its table, whoever runs it: a transaction of calls, or one string. Pure. */
import type { ModelKind, RelationName } from '../../project/model.ts'
import { createStage, STAGE } from '../materialize.ts'

/** As DuckDB reports it. */
export interface TableColumn {
  name: string
  type: string
}

export interface KindInput {
  /** Macros in its SQL expanded. */
  kind: ModelKind
  table: RelationName
  /** Of the table, which is there; empty for kinds that replace it. */
  columns: readonly TableColumn[]
  partitionedBy: readonly string[]
  /** What the step's rows come from. */
  query: string
  /** They are in `STAGE` already. */
  staged: boolean
  /** Epoch ms, half-open; null when nothing is due. */
  interval: readonly [number, number] | null
  /** What "now" is for the build, epoch ms. */
  executionMs: number
  /** SQL that is true until a range of time is recorded of the table's version. */
  isFirstLoad: string
}

export interface KindWrite {
  /** In order, in the step's transaction. */
  statements: string[]
  /** SQL of a JSON object that holds once the statements have run: `rows`, and `rowsFiltered` and `rowsDuplicate` where not 0. Null: nothing. */
  measured: string | null
  /** The number that the last statement answers with is `rows`, and all there is to measure. */
  counted: boolean
  /** Statements for the end, when nothing reads the step's temporary tables any more. */
  cleanup: string[]
}

/** Of kinds that load what is new. */
export const NOTHING_DUE: KindWrite = {
  statements: [],
  measured: `json_object('rows', 0)`,
  counted: false,
  cleanup: [],
}

/** The statement that puts the step's rows into `STAGE`, unless they are there. */
export function staging({ query, staged }: KindInput): string[] {
  return staged ? [] : [createStage(query)]
}

export const DROP_STAGE = `DROP TABLE ${STAGE}`

export const STAGED_ROWS = `(SELECT json_object('rows', count(*)) FROM ${STAGE})`
