/** What SCD_TYPE_2 means, row by row and slowly: what the SQL is compared with. Times are ISO texts, which sort as they are. */

export interface SourceRow {
  id: string | null
  part: string | null
  status: string | null
  note: string | null
  updated_at: string | null
}

export interface HistoryRow extends SourceRow {
  valid_from: string | null
  valid_to: string | null
}

export interface HistoryRules {
  key: ('id' | 'part')[]
  /** Null: by `updated_at`. */
  checked: (keyof SourceRow)[] | null
  deletes: boolean
  /** BY_TIME: updated_at_as_valid_from. BY_COLUMN: execution_time_as_valid_from. */
  ownStart: boolean
  /** BY_COLUMN: with updated_at_name. */
  stamped: boolean
}

const COLUMNS = ['id', 'part', 'status', 'note', 'updated_at'] as const
export const EPOCH = '1970-01-01 00:00:00'

export interface Load {
  batch: readonly SourceRow[]
  now: string
  first: boolean
}

/** The table after a load. */
export function nextHistory(before: readonly HistoryRow[], load: Load, rules: HistoryRules): HistoryRow[] {
  const { batch, now } = load
  const keyOf = (row: SourceRow): string => JSON.stringify(rules.key.map((name) => row[name]))
  const ended = (row: SourceRow): string | undefined =>
    before
      .filter((one) => keyOf(one) === keyOf(row))
      .flatMap(({ valid_to }) => valid_to ?? [])
      .sort()
      .at(-1)
  const source = new Map<string, SourceRow>()
  for (const row of [...batch].sort(rules.checked === null || rules.stamped ? byTimeThenAll : byAll))
    source.set(keyOf(row), row)

  const after: HistoryRow[] = []
  for (const row of before) {
    const offered = row.valid_to === null ? source.get(keyOf(row)) : undefined
    if (row.valid_to !== null) after.push(row)
    else if (offered === undefined) after.push({ ...row, valid_to: rules.deletes ? now : null })
    else if (hasChanged(row, offered, rules)) {
      const at = changedAt(offered, now, rules)
      after.push({ ...row, valid_to: at }, { ...offered, valid_from: at, valid_to: null })
    } else {
      const filled = { ...row, valid_from: row.valid_from ?? startOf(offered, ended(offered), load, rules) }
      for (const name of COLUMNS) filled[name] ??= offered[name]
      after.push(filled)
    }
  }
  const open = new Set(before.filter(({ valid_to }) => valid_to === null).map(keyOf))
  for (const [key, row] of source) {
    if (open.has(key)) continue
    after.push({ ...row, valid_from: startOf(row, ended(row), load, rules), valid_to: null })
  }
  return after
}

function hasChanged(open: HistoryRow, offered: SourceRow, { checked }: HistoryRules): boolean {
  if (checked !== null) return checked.some((name) => open[name] !== offered[name])
  return open.updated_at !== null && offered.updated_at !== null && offered.updated_at > open.updated_at
}

function changedAt(offered: SourceRow, now: string, { checked, stamped }: HistoryRules): string {
  return checked === null || stamped ? (offered.updated_at ?? now) : now
}

/** When the row of a key begins that has none open. */
function startOf(row: SourceRow, ended: string | undefined, { now, first }: Load, rules: HistoryRules): string | null {
  if (rules.checked !== null) return first && !rules.ownStart ? EPOCH : changedAt(row, now, rules)
  if (ended === undefined) return rules.ownStart ? row.updated_at : EPOCH
  return row.updated_at !== null && ended > row.updated_at ? ended : row.updated_at
}

function byTimeThenAll(one: SourceRow, other: SourceRow): number {
  return compare(one.updated_at, other.updated_at) || byAll(one, other)
}

function byAll(one: SourceRow, other: SourceRow): number {
  for (const name of COLUMNS) {
    const order = compare(one[name], other[name])
    if (order !== 0) return order
  }
  return 0
}

/** NULL sorts before every value. */
function compare(one: string | null, other: string | null): number {
  if (one === other) return 0
  if (one === null || other === null) return one === null ? -1 : 1
  return one < other ? -1 : 1
}
