/** Keys of one or several expressions, compared as values: NULL equals NULL, and nothing is joined to one text. Pure. */

/** The name that the nth expression of a key has beside a table's own columns. */
function keyName(nth: number): string {
  return `"key ${nth + 1}"`
}

/** `(lower(a)) AS "key 1", (b) AS "key 2"`. */
export function keyNames(expressions: readonly string[]): string {
  return expressions.map((expression, nth) => `(${expression}) AS ${keyName(nth)}`).join(', ')
}

/** `batch."key 1", batch."key 2"`. */
export function keyList(expressions: readonly string[], relation: string): string {
  return expressions.map((_, nth) => `${relation}.${keyName(nth)}`).join(', ')
}

/** The condition that two relations that have the key under `keyNames` agree on it. */
export function sameKey(expressions: readonly string[], one: string, other: string): string {
  return expressions
    .map((_, nth) => `${one}.${keyName(nth)} IS NOT DISTINCT FROM ${other}.${keyName(nth)}`)
    .join(' AND ')
}

/**
 * The condition that a row of the table has the key of a row of `batch`, which has the key under `keyNames` and no column that
 * the expressions name.
 */
export function matchesKey(expressions: readonly string[], batch: string): string {
  return expressions
    .map((expression, nth) => `(${expression}) IS NOT DISTINCT FROM ${batch}.${keyName(nth)}`)
    .join(' AND ')
}
