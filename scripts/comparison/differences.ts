/** Whether Millrace and SQLMesh have left the same rows; where SQLMesh is known to be wrong, what is compared instead. */

export interface Table {
  /** `name TYPE`. */
  columns: string[]
  /** Every value as text. */
  rows: (string | null)[][]
}

interface Rule {
  /** Columns of the key. Rows with a NULL in it are left out: SQLMesh adds them again in every run, or lets `(x, NULL)` replace `(NULL, x)`. */
  key?: string[]
  /** Equal rows count once: SQLMesh keeps the duplicates of a unique key's first load. */
  once?: true
  /** Of a closed row, columns where Millrace has NULL may have a value: SQLMesh writes into closed rows what came later. */
  history?: true
}

const HISTORY: Rule = { key: ['id', 'part'], history: true }

/** By model; the others are compared row by row. */
export const RULES: Readonly<Record<string, Rule>> = {
  'k.keyed': { key: ['id'] },
  'k.keyed_twice': { key: ['id', 'part'], once: true },
  'k.parts': { key: ['part'] },
  'k.by_time': HISTORY,
  'k.by_time_all': HISTORY,
  'k.by_column': HISTORY,
  'k.by_column_all': HISTORY,
  'k.by_column_stamped': HISTORY,
}

/** @returns a line for each difference; none when they agree. */
export function differences(name: string, ours: Table, theirs: Table): string[] {
  if (ours.columns.join() !== theirs.columns.join()) {
    return [`Millrace: ${ours.columns.join(', ')}`, `SQLMesh:  ${theirs.columns.join(', ')}`]
  }
  const rule = RULES[name] ?? {}
  const names = ours.columns.map((column) => column.slice(0, column.indexOf(' ')))
  const missing = compared(theirs.rows, names, rule)
  const more: (string | null)[][] = []
  for (const row of compared(ours.rows, names, rule)) {
    const found = missing.findIndex((other) => agree(row, other, names, rule))
    if (found === -1) more.push(row)
    else missing.splice(found, 1)
  }
  return [...more.map((row) => `Millrace: ${text(row)}`), ...missing.map((row) => `SQLMesh:  ${text(row)}`)]
}

function compared(rows: Table['rows'], names: readonly string[], { key = [], once }: Rule): Table['rows'] {
  const keyed = rows.filter((row) => key.every((column) => row[names.indexOf(column)] !== null))
  return once === true ? [...new Map(keyed.map((row) => [text(row), row])).values()] : keyed
}

function agree(
  ours: readonly (string | null)[],
  theirs: readonly (string | null)[],
  names: readonly string[],
  { history }: Rule,
): boolean {
  const closed = history === true && ours[names.indexOf('valid_to')] !== null
  return ours.every((value, at) => {
    const own = names[at] !== 'valid_from' && names[at] !== 'valid_to'
    return value === theirs[at] || (closed && own && value === null)
  })
}

function text(row: readonly (string | null)[]): string {
  return row.map((value) => value ?? 'NULL').join(' | ')
}
