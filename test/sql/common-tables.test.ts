import { expect, test } from 'vitest'
import { commonTableQuery, commonTables, isOrdered } from '../../src/sql/common-tables.ts'

const SQL = `-- a comment
WITH RECURSIVE a (n, m) AS (SELECT 1, 2), "B c" AS NOT MATERIALIZED (SELECT (n) FROM a ORDER BY 1)
SELECT max(n) OVER (ORDER BY n) FROM "B c"`

test('the common table expressions of a query are found in its text', () => {
  expect(commonTables(SQL)).toEqual([
    { name: 'a', query: 'SELECT 1, 2' },
    { name: 'B c', query: 'SELECT (n) FROM a ORDER BY 1' },
  ])
  expect(commonTables('SELECT 1')).toEqual([])
})

test('one of them alone sees the others', () => {
  expect(commonTableQuery(SQL, 'B c')).toMatch(/ORDER BY 1\)\nSELECT \* FROM "B c"$/)
})

test('a query is ordered by an ORDER BY of its own, not by one in brackets', () => {
  expect(isOrdered(SQL)).toBe(false)
  expect(isOrdered(`${SQL} ORDER BY 1`)).toBe(true)
})
