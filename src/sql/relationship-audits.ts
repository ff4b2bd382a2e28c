/** Built-in audits that compare a model with another one, which is built before it. Pure. */
import { column, relation, selectBad, type BuiltInAudit } from './audit-arguments.ts'

export const RELATIONSHIP_AUDITS: Readonly<Record<string, BuiltInAudit>> = {
  /** Rows whose value the other table does not have; NULL passes. */
  relationship: {
    required: { column: 'column', to: 'relation', to_column: 'column' },
    optional: { condition: 'sql', to_condition: 'sql' },
    query: (args, from) => {
      const { to_condition: condition } = args
      const rows = `${relation(args, 'to')}${condition === undefined ? '' : ` WHERE (${condition})`}`
      // Not a sub-query, in which a column that the other table lacks would be taken from the audited one.
      const partners = `WITH millrace_partners AS (SELECT ${column(args, 'to_column')} AS value FROM ${rows})`
      // A NULL among the partners must not make NOT IN unknown for everybody.
      const missing = `${column(args)} NOT IN (SELECT value FROM millrace_partners WHERE value IS NOT NULL)`
      return `${partners} ${selectBad(from, missing, args)}`
    },
  },
}
