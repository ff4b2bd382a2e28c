/** Expected rows against those a query gave. Pure. */

/** A value as JSON has it, exact where that is exact. */
export type Cell = unknown

export interface ComparedColumn {
  name: string
  /** Floating point and decimals: nearly the same is the same. */
  inexact: boolean
}

/** By column. */
export type ShownRow = Record<string, Cell>

export interface RowDifferences {
  /** Expected rows that did not come. */
  missing: ShownRow[]
  /** Rows that nobody expected. */
  unexpected: ShownRow[]
  /** Rows that came with other values; `row` counts the expected ones from 1. */
  different: { row: number; columns: Record<string, { expected: Cell; actual: Cell }> }[]
}

export interface RowComparison {
  columns: readonly ComparedColumn[]
  expected: readonly (readonly Cell[])[]
  actual: readonly (readonly Cell[])[]
  /** The query orders its rows: the first is compared with the first. */
  ordered: boolean
}

const RELATIVE = 1e-5
const ABSOLUTE = 1e-8

/** Null when they are the same. */
export function compareRows(comparison: RowComparison): RowDifferences | null {
  const pairs = comparison.ordered ? byPosition(comparison) : byValues(comparison)
  const differences: RowDifferences = { missing: [], unexpected: [], different: [] }
  const { columns, expected, actual } = comparison
  const shown = (row: readonly Cell[]): ShownRow => Object.fromEntries(columns.map(({ name }, at) => [name, row[at]]))
  for (const [expectedAt, actualAt] of pairs) {
    const [wanted, came] = [at(expected, expectedAt), at(actual, actualAt)]
    if (wanted === null && came !== null) differences.unexpected.push(shown(came))
    else if (wanted !== null && came === null) differences.missing.push(shown(wanted))
    else if (wanted !== null && came !== null) {
      const wrong = differing(columns, wanted, came)
      if (wrong.length === 0) continue
      const cells = wrong.map((column) => [
        columns[column]?.name ?? '',
        { expected: wanted[column], actual: came[column] },
      ])
      differences.different.push({ row: (expectedAt ?? 0) + 1, columns: Object.fromEntries(cells) as never })
    }
  }
  const { missing, unexpected, different } = differences
  return missing.length + unexpected.length + different.length === 0 ? null : differences
}

/** Indices of an expected row and of the row that came in its place; null for none. */
type Pair = readonly [number | null, number | null]

function byPosition({ expected, actual }: RowComparison): Pair[] {
  const length = Math.max(expected.length, actual.length)
  return Array.from({ length }, (_, index) => [
    index < expected.length ? index : null,
    index < actual.length ? index : null,
  ])
}

/** Equal rows first, wherever they are; of what is left, those that have most in common. */
function byValues(comparison: RowComparison): Pair[] {
  const { columns, expected, actual } = comparison
  const waiting = new Map<string, number[]>()
  actual.forEach((row, index) => {
    const key = exactKey(columns, row)
    waiting.set(key, [...(waiting.get(key) ?? []), index])
  })
  const left: number[] = []
  for (const [index, row] of expected.entries()) {
    const candidates = waiting.get(exactKey(columns, row)) ?? []
    const found = candidates.findIndex((candidate) => differing(columns, row, actual[candidate] ?? []).length === 0)
    if (found === -1) left.push(index)
    else candidates.splice(found, 1)
  }
  return pairUp(
    comparison,
    left,
    [...waiting.values()].flat().sort((a, b) => a - b),
  )
}

/** Beyond this many rows nobody reads which is most like which. */
const MOST_PAIRED = 200

function pairUp({ columns, expected, actual }: RowComparison, left: number[], came: number[]): Pair[] {
  const free = new Set(came)
  // They are meant to be the same, even with nothing in common.
  const oneForOne = left.length === 1 && came.length === 1
  const pairs: Pair[] = left.map((index) => {
    let best: { index: number; wrong: number } | null = null
    for (const candidate of left.length > MOST_PAIRED || came.length > MOST_PAIRED ? [] : free) {
      const wrong = differing(columns, expected[index] ?? [], actual[candidate] ?? []).length
      const related = wrong < columns.length || oneForOne
      if (related && wrong < (best?.wrong ?? Infinity)) best = { index: candidate, wrong }
    }
    if (best !== null) free.delete(best.index)
    return [index, best?.index ?? null]
  })
  return [...pairs, ...[...free].map((index) => [null, index] as const)]
}

function exactKey(columns: readonly ComparedColumn[], row: readonly Cell[]): string {
  return JSON.stringify(row.filter((_, index) => columns[index]?.inexact !== true))
}

/** Indices of the columns that differ. */
function differing(columns: readonly ComparedColumn[], expected: readonly Cell[], actual: readonly Cell[]): number[] {
  return columns.flatMap((column, index) => (isSame(column, expected[index], actual[index]) ? [] : [index]))
}

function isSame({ inexact }: ComparedColumn, expected: Cell, actual: Cell): boolean {
  if (inexact && typeof expected === 'number' && typeof actual === 'number') {
    const allowed = Math.max(ABSOLUTE, RELATIVE * Math.max(Math.abs(expected), Math.abs(actual)))
    return Math.abs(expected - actual) <= allowed
  }
  return JSON.stringify(expected) === JSON.stringify(actual)
}

function at<T>(rows: readonly T[], index: number | null): T | null {
  return index === null ? null : (rows[index] ?? null)
}
