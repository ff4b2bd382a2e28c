/** Built-in audits that look at rows beside other rows: how many there are, which repeat, which follow each other. Pure. */
import { withoutComments } from './argument-text.ts'
import {
  anyOf,
  column,
  columns,
  expression,
  list,
  where,
  type AuditArguments,
  type BuiltInAudit,
} from './audit-arguments.ts'
import { isToken, tokenize } from './lexer.ts'

const CONDITION = { condition: 'sql' } as const

export const TABLE_AUDITS: Readonly<Record<string, BuiltInAudit>> = {
  unique_values: {
    required: { columns: 'columns' },
    optional: CONDITION,
    // All rows of one value but the first, NULL being a value like any other.
    query: (args, from) => {
      const ranks = columns(args).map((one) => `ROW_NUMBER() OVER (PARTITION BY ${one}) > 1`)
      return `SELECT * FROM ${from}${where(args)} QUALIFY ${anyOf(ranks)}`
    },
  },
  unique_combination_of_columns: {
    required: { columns: 'columns' },
    optional: CONDITION,
    query: (args, from) => {
      const all = columns(args).join(', ')
      return `SELECT ${all} FROM ${from}${where(args)} GROUP BY ${all} HAVING COUNT(*) > 1`
    },
  },
  number_of_rows: {
    required: { threshold: 'number' },
    optional: CONDITION,
    // Reads no more rows than it needs to see that there are more than the threshold.
    query: (args, from) => {
      const threshold = expression(args, 'threshold')
      const some = `SELECT 1 FROM ${from}${where(args)} LIMIT ${threshold} + 1`
      return `SELECT COUNT(*) AS number_of_rows FROM (${some}) HAVING COUNT(*) <= ${threshold}`
    },
  },
  at_least_one: {
    required: { column: 'column' },
    optional: CONDITION,
    // A table without rows passes: there is nothing that should have had a value.
    query: (args, from) =>
      `SELECT COUNT(*) AS number_of_rows FROM ${from}${where(args)} HAVING COUNT(*) > 0 AND COUNT(${column(args)}) = 0`,
  },
  not_constant: {
    required: { column: 'column' },
    optional: CONDITION,
    query: (args, from) => {
      const distinct = `COUNT(DISTINCT ${column(args)})`
      return `SELECT ${distinct} AS distinct_values FROM ${from}${where(args)} HAVING ${distinct} <= 1`
    },
  },
  not_null_proportion: {
    required: { column: 'column', threshold: 'number' },
    optional: CONDITION,
    query: (args, from) => {
      const known = `COUNT(${column(args)})`
      return `SELECT COUNT(*) AS number_of_rows, ${known} AS not_null FROM ${from}${where(args)} HAVING ${known} <= COUNT(*) * ${expression(args, 'threshold')}`
    },
  },
  sequential_values: {
    required: { column: 'column' },
    optional: { interval: 'sql', ...CONDITION },
    query: (args, from) => {
      const previous = `LAG(${column(args)}) OVER (ORDER BY ${column(args)})`
      const values = `SELECT ${column(args)} AS value, ${previous} AS previous FROM ${from}${where(args)}`
      return `SELECT * FROM (${values}) WHERE NOT (value = previous + ${expression(args, 'interval', '1')})`
    },
  },
  mutually_exclusive_ranges: {
    required: { lower_bound_column: 'column', upper_bound_column: 'column' },
    optional: { partition_clause: 'sql', ...CONDITION },
    query: mutuallyExclusiveRanges,
  },
}

/** Bad are ranges that end before they begin, have no end although others follow, or reach into the next one. */
function mutuallyExclusiveRanges(args: AuditArguments, from: string): string {
  const [lower, upper] = [column(args, 'lower_bound_column'), column(args, 'upper_bound_column')]
  const partition = partitionOf(args)
  // Where a NULL comes decides which range is the next one.
  const order = `${partition}ORDER BY ${lower} NULLS FIRST, ${upper} NULLS FIRST`
  const reverse = `${partition}ORDER BY ${lower} DESC NULLS LAST, ${upper} DESC NULLS LAST`
  return `SELECT * FROM (
  SELECT ${lower} AS lower_bound, ${upper} AS upper_bound, LEAD(${lower}) OVER (${order}) AS next_lower_bound, ROW_NUMBER() OVER (${reverse}) = 1 AS is_last_record
  FROM ${from}${where(args)}
) WHERE NOT (COALESCE(lower_bound <= upper_bound, FALSE) AND COALESCE(upper_bound <= next_lower_bound, is_last_record, FALSE))`
}

/** `PARTITION BY a, b`, or columns alone. */
function partitionOf(args: AuditArguments): string {
  const text = withoutComments(args['partition_clause'] ?? 'FALSE')
  const [first, second] = tokenize(text)
  if (second === undefined && (isToken(first, 'FALSE') || isToken(first, 'NULL'))) return ''
  if (isToken(first, 'PARTITION')) return `${text} `
  return `PARTITION BY ${list({ text }, 'text').join(', ')} `
}
