/** Built-in audits that compare a model with another one, which is built before it. Pure. */
import { column, relation, selectBad, where, type AuditArguments, type BuiltInAudit } from './audit-arguments.ts'

export const RELATIONSHIP_AUDITS: Readonly<Record<string, BuiltInAudit>> = {
  /** Rows whose value the other table does not have; NULL passes. */
  relationship: {
    required: { column: 'column', to: 'relation', to_column: 'column' },
    optional: { condition: 'sql', to_condition: 'sql' },
    query: (args, from) => {
      const rows = partnerRows(args)
      // Not a sub-query, in which a column that the other table lacks would be taken from the audited one.
      const partners = `WITH millrace_partners AS (SELECT ${column(args, 'to_column')} AS value FROM ${rows})`
      // A NULL among the partners must not make NOT IN unknown for everybody.
      const missing = `${column(args)} NOT IN (SELECT value FROM millrace_partners WHERE value IS NOT NULL)`
      return `${partners} ${selectBad(from, missing, args)}`
    },
  },
  /** Values that one table has more often than the other one; NULL is a value like any other. */
  cardinality_equality: {
    required: { column: 'column', to: 'relation', to_column: 'column' },
    optional: { condition: 'sql', to_condition: 'sql' },
    query: (args, from) => {
      const counts = (value: string, rows: string): string =>
        `SELECT ${value} AS value, COUNT(*) AS rows FROM ${rows} GROUP BY ALL`
      const here = counts(column(args), `${from}${where(args)}`)
      const there = counts(column(args, 'to_column'), partnerRows(args))
      return `SELECT COALESCE(here.value, there.value) AS value, here.rows, there.rows AS to_rows FROM (${here}) AS here FULL JOIN (${there}) AS there ON here.value IS NOT DISTINCT FROM there.value WHERE here.rows IS DISTINCT FROM there.rows`
    },
  },
}

function partnerRows(args: AuditArguments): string {
  const { to_condition: condition } = args
  return `${relation(args, 'to')}${condition === undefined ? '' : ` WHERE (${condition})`}`
}
