/** Built-in audits that look at one row at a time: a row is bad by itself, and one of NULL passes unless said otherwise. Pure. */
import {
  anyOf,
  column,
  columns,
  expression,
  list,
  outsideRange,
  RANGE_PARAMETERS,
  selectBad,
  type BuiltInAudit,
} from './audit-arguments.ts'

const CONDITION = { condition: 'sql' } as const

const UUID = '^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
const URL = String.raw`^(https?|ftp)://[^\s/$.?#].[^\s]*$`
const EMAIL = String.raw`^[a-zA-Z0-9_.+-]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9-.]+$`
const HTTP_METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT']

export const ROW_AUDITS: Readonly<Record<string, BuiltInAudit>> = {
  not_null: {
    required: { columns: 'columns' },
    optional: CONDITION,
    query: (args, from) => selectBad(from, anyOf(columns(args).map((one) => `${one} IS NULL`)), args),
  },
  accepted_values: {
    required: { column: 'column', is_in: 'list' },
    optional: CONDITION,
    query: (args, from) => {
      // `x NOT IN (1, NULL)` is never true, so a NULL in the list would let everything pass; a NULL row passes anyway.
      const known = list(args, 'is_in').filter((value) => value.toUpperCase() !== 'NULL')
      const bad = known.length === 0 ? `${column(args)} IS NOT NULL` : `${column(args)} NOT IN (${known.join(', ')})`
      return selectBad(from, bad, args)
    },
  },
  not_accepted_values: {
    required: { column: 'column', is_in: 'list' },
    optional: CONDITION,
    query: (args, from) => selectBad(from, `${column(args)} IN (${list(args, 'is_in').join(', ')})`, args),
  },
  accepted_range: {
    required: { column: 'column' },
    optional: RANGE_PARAMETERS,
    oneOf: ['min_v', 'max_v'],
    query: (args, from) => selectBad(from, outsideRange(column(args), args), args),
  },
  forall: {
    required: { criteria: 'list' },
    optional: CONDITION,
    query: (args, from) => selectBad(from, anyOf(list(args, 'criteria').map((one) => `NOT (${one})`)), args),
  },
  not_empty_string: {
    required: { column: 'column' },
    optional: CONDITION,
    query: (args, from) => selectBad(from, `${column(args)} = ''`, args),
  },
  string_length_between: {
    required: { column: 'column' },
    optional: RANGE_PARAMETERS,
    oneOf: ['min_v', 'max_v'],
    query: (args, from) => selectBad(from, outsideRange(`LENGTH(${column(args)})`, args), args),
  },
  string_length_equal: {
    required: { column: 'column', v: 'number' },
    optional: CONDITION,
    query: (args, from) => selectBad(from, `LENGTH(${column(args)}) <> ${expression(args, 'v')}`, args),
  },
  // A column of type UUID has no text to lower until it is cast.
  valid_uuid: matching((value) => `NOT regexp_matches(lower(${value}::VARCHAR), '${UUID}')`),
  valid_url: matching((value) => `NOT regexp_matches(${value}, '${URL}')`),
  valid_email: matching((value) => `NOT regexp_matches(${value}, '${EMAIL}')`),
  valid_http_method: matching((value) => `${value} NOT IN (${HTTP_METHODS.map((name) => `'${name}'`).join(', ')})`),
  match_regex_pattern_list: patterns((value, pattern) => `NOT regexp_matches(${value}, ${pattern})`, ' AND '),
  not_match_regex_pattern_list: patterns((value, pattern) => `regexp_matches(${value}, ${pattern})`, ' OR '),
  match_like_pattern_list: patterns((value, pattern) => `NOT ${value} LIKE ${pattern}`, ' AND '),
  not_match_like_pattern_list: patterns((value, pattern) => `${value} LIKE ${pattern}`, ' OR '),
}

function matching(bad: (value: string) => string): BuiltInAudit {
  return {
    required: { column: 'column' },
    optional: CONDITION,
    query: (args, from) => selectBad(from, bad(column(args)), args),
  }
}

function patterns(bad: (value: string, pattern: string) => string, link: ' AND ' | ' OR '): BuiltInAudit {
  return {
    required: { column: 'column', patterns: 'list' },
    optional: CONDITION,
    query: (args, from) => {
      const each = list(args, 'patterns').map((pattern) => bad(column(args), `(${pattern})`))
      return selectBad(from, each.join(link), args)
    },
  }
}
