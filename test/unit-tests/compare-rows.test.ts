import { expect, test } from 'vitest'
import { compareRows, type RowComparison } from '../../src/unit-tests/compare-rows.ts'

const COLUMNS = [
  { name: 'id', inexact: false },
  { name: 'v', inexact: true },
]

function compare(expected: unknown[][], actual: unknown[][], ordered = false) {
  const comparison: RowComparison = { columns: COLUMNS, expected, actual, ordered }
  return compareRows(comparison)
}

test('rows are the same in any order, as often as they come, NULL being NULL', () => {
  expect(
    compare(
      [
        [1, null],
        [2, 1],
        [2, 1],
      ],
      [
        [2, 1],
        [1, null],
        [2, 1],
      ],
    ),
  ).toBeNull()
  expect(
    compare(
      [
        [2, 1],
        [2, 1],
      ],
      [[2, 1]],
    )?.missing,
  ).toEqual([{ id: 2, v: 1 }])
})

test('numbers that are nearly the same are the same in columns that are inexact', () => {
  expect(compare([[1, 100]], [[1, 100.0005]])).toBeNull()
  expect(compare([[1, 100]], [[1, 100.01]])).not.toBeNull()
  expect(compare([[1, 0]], [[1.000001, 0]])).not.toBeNull()
})

test('rows with something in common are compared value by value, others are missing or unexpected', () => {
  expect(
    compare(
      [
        [1, 5],
        [7, 8],
      ],
      [
        [3, 9],
        [1, 6],
      ],
    ),
  ).toEqual({
    different: [{ row: 1, columns: { v: { expected: 5, actual: 6 } } }],
    missing: [{ id: 7, v: 8 }],
    unexpected: [{ id: 3, v: 9 }],
  })
})

test('where the query orders its rows, their order counts', () => {
  const rows = [
    [1, 1],
    [2, 1],
  ]
  expect(compare(rows, rows, true)).toBeNull()
  expect(compare(rows, [...rows].reverse(), true)?.different.map(({ row }) => row)).toEqual([1, 2])
})
