/** Audits every project has: their arguments, and the SQL that returns bad rows. Pure. */
import { MillraceError } from '../errors.ts'
import { parseList, toColumn, withoutComments } from './argument-text.ts'

/** Argument name (lower case) → SQL text without macros. */
export type AuditArguments = Record<string, string>

export interface BuiltInAudit {
  required: readonly string[]
  /** `condition`, which narrows the rows an audit looks at, is one of every audit's. */
  optional: readonly string[]
  /** `from` is a relation or a sub-query in parentheses. Every required argument is there. */
  query: (args: AuditArguments, from: string) => string
}

/** By name; every one also under `<name>_non_blocking`. */
export const BUILT_IN_AUDIT_QUERIES: ReadonlyMap<string, BuiltInAudit> = new Map<string, BuiltInAudit>([
  [
    'not_null',
    {
      required: ['columns'],
      optional: ['condition'],
      query: (args, from) => selectBad(from, anyOf(columns(args).map((column) => `${column} IS NULL`)), args),
    },
  ],
  [
    'unique_values',
    {
      required: ['columns'],
      optional: ['condition'],
      // All rows of one value but the first, NULL being a value like any other.
      query: (args, from) => {
        const ranks = columns(args).map((column) => `ROW_NUMBER() OVER (PARTITION BY ${column}) > 1`)
        return `SELECT * FROM ${from}${where(args)} QUALIFY ${ranks.join(' OR ')}`
      },
    },
  ],
  [
    'unique_combination_of_columns',
    {
      required: ['columns'],
      optional: ['condition'],
      query: (args, from) => {
        const list = columns(args).join(', ')
        return `SELECT ${list} FROM ${from}${where(args)} GROUP BY ${list} HAVING COUNT(*) > 1`
      },
    },
  ],
  [
    'accepted_values',
    {
      required: ['column', 'is_in'],
      optional: ['condition'],
      query: (args, from) => {
        const column = toColumn(args['column'] ?? '')
        const values = items('accepted_values', 'is_in', args)
        // `x NOT IN (1, NULL)` is never true, so a NULL in the list would let everything pass; a NULL row passes anyway.
        const known = values.filter((value) => value.toUpperCase() !== 'NULL')
        const bad = known.length === 0 ? `${column} IS NOT NULL` : `${column} NOT IN (${known.join(', ')})`
        return selectBad(from, bad, args)
      },
    },
  ],
  [
    'number_of_rows',
    {
      required: ['threshold'],
      optional: ['condition'],
      // Reads no more rows than it needs to see that there are more than the threshold.
      query: (args, from) => {
        const threshold = `(${args['threshold'] ?? ''})`
        const some = `SELECT 1 FROM ${from}${where(args)} LIMIT ${threshold} + 1`
        return `SELECT COUNT(*) AS number_of_rows FROM (${some}) HAVING COUNT(*) <= ${threshold}`
      },
    },
  ],
  [
    'forall',
    {
      required: ['criteria'],
      optional: ['condition'],
      query: (args, from) => {
        const criteria = items('forall', 'criteria', args)
        return selectBad(from, anyOf(criteria.map((criterion) => `NOT (${criterion})`)), args)
      },
    },
  ],
  [
    'accepted_range',
    {
      required: ['column'],
      optional: ['min_v', 'max_v', 'inclusive', 'condition'],
      query: (args, from) => selectBad(from, anyOf(outsideRange(args)), args),
    },
  ],
])

/** Audits of SQLMesh that are not built in yet. */
export const LATER_AUDITS: readonly string[] = [
  'at_least_one',
  'chi_square',
  'kl_divergence',
  'match_like_pattern_list',
  'match_regex_pattern_list',
  'mean_in_range',
  'mutually_exclusive_ranges',
  'not_accepted_values',
  'not_constant',
  'not_empty_string',
  'not_match_like_pattern_list',
  'not_match_regex_pattern_list',
  'not_null_proportion',
  'sequential_values',
  'stddev_in_range',
  'string_length_between',
  'string_length_equal',
  'valid_email',
  'valid_http_method',
  'valid_url',
  'valid_uuid',
  'z_score',
]

function selectBad(from: string, bad: string, args: AuditArguments): string {
  const { condition } = args
  return `SELECT * FROM ${from} WHERE (${bad})${condition === undefined ? '' : ` AND (${condition})`}`
}

function where({ condition }: AuditArguments): string {
  return condition === undefined ? '' : ` WHERE (${condition})`
}

function anyOf(conditions: string[]): string {
  return conditions.join(' OR ')
}

function columns(args: AuditArguments): string[] {
  return items('columns', 'columns', args).map(toColumn)
}

function items(audit: string, argument: string, args: AuditArguments): string[] {
  const list = parseList(args[argument] ?? '')
  if (list.length > 0) return list
  throw new MillraceError('AUDIT', `Audit '${audit}' expects something in '${argument}', got an empty list`)
}

function outsideRange(args: AuditArguments): string[] {
  const column = toColumn(args['column'] ?? '')
  const inclusive = withoutComments(args['inclusive'] ?? 'TRUE').toUpperCase()
  if (inclusive !== 'TRUE' && inclusive !== 'FALSE') {
    throw new MillraceError('AUDIT', `Audit 'accepted_range' expects 'inclusive' TRUE or FALSE, got ${inclusive}`)
  }
  const [below, above] = inclusive === 'TRUE' ? ['<', '>'] : ['<=', '>=']
  const given = (bound: string | undefined): bound is string => bound !== undefined && bound.toUpperCase() !== 'NULL'
  const { min_v: min, max_v: max } = args
  const outside = [
    ...(given(min) ? [`${column} ${below} (${min})`] : []),
    ...(given(max) ? [`${column} ${above} (${max})`] : []),
  ]
  if (outside.length > 0) return outside
  throw new MillraceError('AUDIT', "Audit 'accepted_range' expects 'min_v' or 'max_v', got neither")
}
