import { describe, expect, test } from 'vitest'
import { typedColumns } from '../../src/project/cast-columns.ts'

function columnsOf(text: string): Record<string, string> | null {
  return typedColumns({ columns: null, query: { text, line: 1 } })
}

describe('the columns of a query that casts each of them', () => {
  test.each([
    ['SELECT 1::INT AS a, CAST(b AS DECIMAL(10, 2)) AS "B"', { a: 'INT', b: 'DECIMAL(10, 2)' }],
    [
      'WITH x AS (SELECT 1 AS y) SELECT x.y::BIGINT AS y, f(y, (1))::VARCHAR[] AS z FROM x',
      { y: 'BIGINT', z: 'VARCHAR[]' },
    ],
    [
      'SELECT @start_date::DATE AS day, -- the day\n TRY_CAST(a + b AS STRUCT(x INT)) AS s',
      { day: 'DATE', s: 'STRUCT(x INT)' },
    ],
    ['SELECT (a + b)::INT::TIMESTAMP WITH TIME ZONE AS t UNION ALL SELECT 1', { t: 'TIMESTAMP WITH TIME ZONE' }],
  ])('%s', (query, expected) => expect(columnsOf(query)).toEqual(expected))

  test.each([
    'SELECT a + b::INT AS c',
    'SELECT 1::INT AS a, b',
    'SELECT 1::INT',
    'SELECT *',
    'SELECT CAST(a AS INT) + 1 AS a',
    'SELECT CASE WHEN a THEN 1 ELSE 2 END::INT AS a',
    'FROM a.b',
  ])('are not known of: %s', (query) => expect(columnsOf(query)).toBeNull())

  test('those declared come first', () => {
    const query = { text: 'SELECT 1::INT AS a', line: 1 }
    expect(typedColumns({ columns: { b: 'DATE' }, query })).toEqual({ b: 'DATE' })
  })
})
