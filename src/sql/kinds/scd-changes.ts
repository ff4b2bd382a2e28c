/** What a batch changes in the history of each key: decided by one statement, before anything is written. Pure. */
import { quoteIdentifier, quoteRelation } from '../identifiers.ts'
import { STAGE } from '../materialize.ts'
import { keyList, keyNames, sameKey } from './keys.ts'
import type { KindInput } from './kind-write.ts'
import { instant, isByColumn, sourceColumns, updatedAtOf, validityOf } from './scd-columns.ts'

/**
 * A temporary table with one row for each key of the batch: its columns, its key, and
 * - "is known": the key has an open row
 * - "is new": a row is added for it
 * - "valid since": when a row begins where none is open before it
 * - "valid until": when the open row ends and the new one begins
 * Names with a blank, since a model's columns have names as well.
 */
export const CHANGES = 'millrace_changes'

interface Rule {
  /** SQL that is true when the open row ends because of the source's. */
  changed: string
  since: string
  until: string
}

/** Of several rows with one key the one with the newest time of change counts, else the one that sorts last over all columns. */
export function createChanges(input: KindInput): string {
  const { table, kind, columns } = input
  const key = kind.unique_key ?? []
  const validTo = quoteIdentifier(validityOf(kind).to)
  const own = sourceColumns(kind, columns)
  const typed = own.map(({ name, type }) => `CAST(${quoteIdentifier(name)} AS ${type}) AS ${quoteIdentifier(name)}`)
  const updatedAt = updatedAtOf(kind)
  const latest = [...(updatedAt === null ? [] : [updatedAt]), ...own.map(({ name }) => name)]
  const order = latest.map((name) => `${quoteIdentifier(name)} DESC NULLS LAST`).join(', ')
  const values = [keyNames(key), ...checkedNames(input)].join(', ')
  const { changed, since, until } = isByColumn(kind) ? byColumn(input) : byTime(input)
  return `CREATE OR REPLACE TEMP TABLE ${CHANGES} AS
WITH typed AS (SELECT ${typed.join(', ')} FROM ${STAGE}),
  source AS (SELECT *, ${values} FROM typed
    QUALIFY row_number() OVER (PARTITION BY ${key.map((expression) => `(${expression})`).join(', ')} ORDER BY ${order}) = 1),
  open AS (SELECT *, ${values}, TRUE AS "is open" FROM ${quoteRelation(table)} WHERE ${validTo} IS NULL)${closedKeys(input)}
SELECT source.*, "is open" IS NOT NULL AS "is known", "is open" IS NULL OR coalesce(${changed}, FALSE) AS "is new",
  ${since} AS "valid since", ${until} AS "valid until"
FROM source LEFT JOIN open ON ${sameKey(key, 'open', 'source')}${isByColumn(kind) ? '' : ` LEFT JOIN closed ON ${sameKey(key, 'closed', 'source')}`}`
}

/**
 * A key that comes back begins where it ended, at the earliest: no two of its rows hold at once. Only keys that have no open row are
 * looked up, since a history may be long.
 */
function closedKeys({ kind, table }: KindInput): string {
  if (isByColumn(kind)) return ''
  const key = kind.unique_key ?? []
  const { from, to } = validityOf(kind)
  const validTo = quoteIdentifier(to)
  return `,
  arrived AS (SELECT source.* FROM source LEFT JOIN open ON ${sameKey(key, 'open', 'source')} WHERE open.${quoteIdentifier(from)} IS NULL),
  ended AS (SELECT ${keyNames(key)}, ${validTo} AS "ended at" FROM ${quoteRelation(table)} WHERE ${validTo} IS NOT NULL),
  closed AS (SELECT ${keyList(key, 'arrived')}, max("ended at") AS "closed at"
    FROM arrived JOIN ended ON ${sameKey(key, 'ended', 'arrived')} GROUP BY ALL)`
}

function byTime({ kind }: KindInput): Rule {
  const { type } = validityOf(kind)
  const column = quoteIdentifier(updatedAtOf(kind) ?? '')
  const updatedAt = `CAST(source.${column} AS ${type})`
  const first = kind.updated_at_as_valid_from === true ? updatedAt : instant(0, type)
  return {
    changed: `${updatedAt} > open.${column}`,
    since: `CASE WHEN "closed at" IS NULL THEN ${first} WHEN "closed at" > ${updatedAt} THEN "closed at" ELSE ${updatedAt} END`,
    until: updatedAt,
  }
}

function byColumn(input: KindInput): Rule {
  const { kind, executionMs, isFirstLoad } = input
  const { type } = validityOf(kind)
  const updatedAt = updatedAtOf(kind)
  const executed = instant(executionMs, type)
  const until =
    updatedAt === null ? executed : `coalesce(CAST(source.${quoteIdentifier(updatedAt)} AS ${type}), ${executed})`
  const differs = checkedNames(input).map(
    (_, nth) => `source.${checkedName(nth)} IS DISTINCT FROM open.${checkedName(nth)}`,
  )
  return {
    changed: `(${differs.join(' OR ')})`,
    // What the first load finds may have been so for ever.
    since:
      kind.execution_time_as_valid_from === true
        ? until
        : `CASE WHEN ${isFirstLoad} THEN ${instant(0, type)} ELSE ${until} END`,
    until,
  }
}

/** `(status) AS "checked 1"`: what is compared, none where the time of change is. */
function checkedNames({ kind, columns }: KindInput): string[] {
  const all = sourceColumns(kind, columns).map(({ name }) => quoteIdentifier(name))
  const checked = !isByColumn(kind) ? [] : kind.columns === '*' ? all : (kind.columns ?? [])
  return checked.map((expression, nth) => `(${expression}) AS ${checkedName(nth)}`)
}

function checkedName(nth: number): string {
  return `"checked ${nth + 1}"`
}
