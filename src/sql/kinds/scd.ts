/**
 * SCD_TYPE_2: the history of each key, one row per state, with the times from and to which it held. A closed row is never touched
 * again and nothing is rewritten: what the batch changes is decided first, then carried out by statements that write only that. Pure.
 */
import { quoteIdentifier, quoteRelation } from '../identifiers.ts'
import { assertColumns, STAGE } from '../materialize.ts'
import { keyList, matchesKey } from './keys.ts'
import { DROP_STAGE, NOTHING_DUE, staging, type KindInput, type KindWrite } from './kind-write.ts'
import { CHANGES, createChanges } from './scd-changes.ts'
import { instant, sourceColumns, validityOf } from './scd-columns.ts'

export function writeHistory(input: KindInput): KindWrite {
  const { table, kind, columns, interval } = input
  if (interval === null) return NOTHING_DUE
  return {
    statements: [
      ...staging(input),
      assertColumns(table, sourceColumns(kind, columns)),
      createChanges(input),
      fillOpen(input),
      closeChanged(input),
      ...(kind.invalidate_hard_deletes === true ? [closeDeleted(input)] : []),
      addNew(input),
    ],
    measured: `(SELECT json_object('rows', batch.added, 'rowsDuplicate', stage.n - batch.n)
      FROM (SELECT count(*) AS n, count(*) FILTER ("is new") AS added FROM ${CHANGES}) AS batch, (SELECT count(*) AS n FROM ${STAGE}) AS stage)`,
    counted: false,
    cleanup: [DROP_STAGE, `DROP TABLE ${CHANGES}`],
  }
}

/** A row that stays open takes from the source what it does not know yet; it keeps what it knows. */
function fillOpen({ table, kind, columns }: KindInput): string {
  const { from } = validityOf(kind)
  const key = kind.unique_key ?? []
  const known = sourceColumns(kind, columns).map(({ name }) => ({
    name: quoteIdentifier(name),
    offer: quoteIdentifier(name),
  }))
  const filled = [...known, { name: quoteIdentifier(from), offer: '"valid since"' }]
  const offers = filled.map(({ offer }, nth) => `${offer} AS ${offerName(nth)}`)
  const sets = filled.map(({ name }, nth) => `${name} = coalesce(open.${name}, change.${offerName(nth)})`)
  const gains = filled.map(({ name }, nth) => `(open.${name} IS NULL AND change.${offerName(nth)} IS NOT NULL)`)
  return `UPDATE ${quoteRelation(table)} AS open SET ${sets.join(', ')}
FROM (SELECT ${keyList(key, CHANGES)}, ${offers.join(', ')} FROM ${CHANGES} WHERE "is known" AND NOT "is new") AS change
WHERE ${isOpen(kind)} AND ${matchesKey(key, 'change')} AND (${gains.join(' OR ')})`
}

function closeChanged({ table, kind }: KindInput): string {
  const key = kind.unique_key ?? []
  return `UPDATE ${quoteRelation(table)} AS open SET ${quoteIdentifier(validityOf(kind).to)} = change."valid until"
FROM (SELECT ${keyList(key, CHANGES)}, "valid until" FROM ${CHANGES} WHERE "is known" AND "is new") AS change
WHERE ${isOpen(kind)} AND ${matchesKey(key, 'change')}`
}

function closeDeleted({ table, kind, executionMs }: KindInput): string {
  const { to, type } = validityOf(kind)
  const key = kind.unique_key ?? []
  return `UPDATE ${quoteRelation(table)} AS open SET ${quoteIdentifier(to)} = ${instant(executionMs, type)}
WHERE ${isOpen(kind)} AND NOT EXISTS (SELECT 1 FROM (SELECT ${keyList(key, CHANGES)} FROM ${CHANGES}) AS change WHERE ${matchesKey(key, 'change')})`
}

function addNew({ table, kind, columns }: KindInput): string {
  const { from } = validityOf(kind)
  const names = sourceColumns(kind, columns).map(({ name }) => quoteIdentifier(name))
  return `INSERT INTO ${quoteRelation(table)} (${[...names, quoteIdentifier(from)].join(', ')})
SELECT ${names.join(', ')}, CASE WHEN "is known" THEN "valid until" ELSE "valid since" END FROM ${CHANGES} WHERE "is new"`
}

function isOpen(kind: KindInput['kind']): string {
  return `open.${quoteIdentifier(validityOf(kind).to)} IS NULL`
}

function offerName(nth: number): string {
  return `"offer ${nth + 1}"`
}
