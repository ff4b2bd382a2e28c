/** FULL, SEED and VIEW: every step replaces what was there. Pure. */
import { quoteRelation } from '../identifiers.ts'
import { createTable, createView, STAGE } from '../materialize.ts'
import type { KindInput, KindWrite } from './kind-write.ts'

export function writeTable({ table, query, staged }: KindInput): KindWrite {
  return {
    statements: [createTable(table, staged ? `FROM ${STAGE}` : query)],
    measured: `json_object('rows', (SELECT count(*) FROM ${quoteRelation(table)}))`,
    counted: true,
    cleanup: [],
  }
}

export function writeView({ table, query }: KindInput): KindWrite {
  return { statements: [createView(table, query)], measured: null, counted: false, cleanup: [] }
}
