import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, test } from 'vitest'
import { locateError } from '../../../src/activities/step/locate-error.ts'
import { createTable, typedQuery } from '../../../src/sql/materialize.ts'

/** Starts at line 5 of its file. */
const QUERY = 'SELECT\n  i,\n  nmae AS name,\n  i + 1 AS next\nFROM range(3) AS t(i)'

describe('the place of a database’s error', () => {
  test('is the line of the model’s file that DuckDB points at', async () => {
    const error = await errorOf(createTable({ catalog: null, schema: null, name: 't' }, QUERY))
    expect(locateError(error, model(QUERY))).toBe(7)
  })

  test('is found where the columns are cast to declared types', async () => {
    const error = await errorOf(
      createTable({ catalog: null, schema: null, name: 't' }, typedQuery(QUERY, { i: 'INT' })),
    )
    expect(locateError(error, model(QUERY))).toBe(7)
  })

  test('is the right one of several equal lines', async () => {
    const query = `SELECT 1 AS a FROM (\nSELECT\n  nmae\nFROM (SELECT 1 AS nmae)\n) UNION ALL\nSELECT\n  nmae\nFROM range(1)`
    const error = await errorOf(createTable({ catalog: null, schema: null, name: 't' }, query))
    expect(locateError(error, model(query))).toBe(11)
  })

  test('is in a statement before or after the query where that one failed', async () => {
    const error = await errorOf('CREATE TABLE x AS\nSELECT nothing_there')
    const post = [{ text: 'CREATE TABLE x AS\nSELECT nothing_there', line: 20 }]
    expect(locateError(error, { ...model(QUERY), post })).toBe(21)
  })

  test('is the start of the query where the line was made by a macro or DuckDB names none', async () => {
    const error = await errorOf('SELECT expanded_by_a_macro')
    expect(locateError(error, model(QUERY))).toBe(5)
    expect(locateError(await errorOf("SELECT CAST('x' AS INT)"), model('SELECT 1'))).toBe(5)
    expect(locateError(new Error('IO Error: out of reach'), { ...model(QUERY), query: null })).toBe(1)
  })
})

function model(text: string): Parameters<typeof locateError>[1] {
  return { line: 1, query: { text, line: 5 }, pre: [], post: [] }
}

async function errorOf(sql: string): Promise<unknown> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  try {
    await connection.run(sql)
  } catch (error) {
    return error
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
  throw new Error('no error')
}
