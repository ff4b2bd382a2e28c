import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ConnectionLost } from '../../src/connections/connection-lost.ts'
import { classifySqlError } from '../../src/connections/sql-errors.ts'
import { CommitOutcomeUnknown } from '../../src/connections/transaction.ts'
import { MillraceError } from '../../src/errors.ts'

let folder: string
let instance: DuckDBInstance
let one: DuckDBConnection
let two: DuckDBConnection

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-errors-'))
  instance = await DuckDBInstance.create(join(folder, 'e.duckdb'))
  one = await instance.connect()
  two = await instance.connect()
  await one.run("CREATE TABLE t (a INTEGER PRIMARY KEY, b VARCHAR NOT NULL); INSERT INTO t VALUES (1, 'x')")
})

afterAll(() => {
  one.disconnectSync()
  two.disconnectSync()
  instance.closeSync()
  rmSync(folder, { recursive: true, force: true })
})

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    return error
  }
  throw new Error('expected an error')
}

describe('errors of a real DuckDB', () => {
  test.each([
    ['selec 1', 'parser'],
    ['SELECT nope FROM t', 'binder'],
    ['SELECT * FROM nope', 'catalog'],
    ['SELECT nofun(1)', 'catalog'],
    ['CREATE TABLE t (a INTEGER)', 'catalog'],
    ["INSERT INTO t VALUES (1, 'y')", 'constraint'],
    ['INSERT INTO t VALUES (2, NULL)', 'constraint'],
    ["SELECT 'x'::INTEGER", 'conversion'],
    ['SELECT 9223372036854775807::BIGINT + 1', 'conversion'],
    ["SELECT error('boom')", 'invalid_input'],
    ["FROM 'no-such-file.parquet'", 'io'],
    ["ATTACH '/no/such/folder/x.db' AS z", 'io'],
    ['LOAD no_such_extension', 'io'],
  ])('%s is %s and not worth repeating', async (sql, kind) => {
    expect(classifySqlError(await errorOf(one.run(sql)))).toMatchObject({ kind, retryable: false })
  })

  test('one in a statement that has values is of the same kind', async () => {
    const error = await errorOf(one.run('selec $1', [1]))
    expect(classifySqlError(error)).toMatchObject({
      kind: 'parser',
      position: { line: 1, column: 1, text: 'selec $1' },
    })
  })

  test("a message is one line, with its place and DuckDB's suggestion apart", async () => {
    expect(classifySqlError(await errorOf(one.run('SELECT\n  a,\n  bb\nFROM t')))).toEqual({
      kind: 'binder',
      retryable: false,
      message: 'Binder Error: Referenced column "bb" not found in FROM clause!',
      hint: 'Candidate bindings: "b"',
      position: { line: 3, column: 3, text: '  bb' },
    })
    expect(classifySqlError(await errorOf(one.run('SELECT * FROM tt')))).toMatchObject({
      hint: 'Did you mean "t"?',
      position: { line: 1, column: 15, text: 'SELECT * FROM tt' },
    })
  })

  test('two writers of one row, of one name, of one key conflict, and that passes', async () => {
    const conflict = async (first: string, second: string, at: 'statement' | 'commit') => {
      await one.run(`BEGIN; ${first}`)
      await two.run('BEGIN')
      const early = at === 'statement' ? await errorOf(two.run(second)) : await two.run(second)
      await one.run('COMMIT')
      const error = at === 'statement' ? early : await errorOf(two.run('COMMIT'))
      await two.run('ROLLBACK').catch(() => undefined)
      return classifySqlError(error)
    }
    const expected = { kind: 'conflict', retryable: true }
    expect(
      await conflict("UPDATE t SET b = 'a' WHERE a = 1", "UPDATE t SET b = 'b' WHERE a = 1", 'statement'),
    ).toMatchObject(expected)
    expect(await conflict("INSERT INTO t VALUES (7, 'a')", "INSERT INTO t VALUES (7, 'b')", 'commit')).toMatchObject(
      expected,
    )
    const create = await conflict(
      'CREATE OR REPLACE TABLE q AS SELECT 1',
      'CREATE OR REPLACE TABLE q AS SELECT 2',
      'statement',
    )
    expect(create).toMatchObject(expected)
    expect(create.message).toContain('with "main.q"')
  })

  test('an interrupt is one', async () => {
    const running = errorOf(one.run('SELECT count(*) FROM range(100_000_000_000)'))
    const timer = setInterval(() => one.interrupt(), 5)
    expect(classifySqlError(await running)).toMatchObject({ kind: 'interrupt' })
    clearInterval(timer)
  })

  test('out of memory is not worth repeating and says what to raise', async () => {
    const small = await DuckDBInstance.create(':memory:', { memory_limit: '10MB', temp_directory: '' })
    const connection = await small.connect()
    const error = await errorOf(connection.run('SELECT list(range) FROM range(10_000_000)'))
    connection.disconnectSync()
    small.closeSync()
    expect(classifySqlError(error)).toMatchObject({
      kind: 'out_of_memory',
      retryable: false,
      hint: expect.stringContaining('memory_limit'),
    })
  })

  test('a file that another process holds is a lock, and that passes', () => {
    const script = `
      import { DuckDBInstance } from '@duckdb/node-api'
      await DuckDBInstance.create(process.argv[1]).catch((error) => console.log(error.message))`
    const file = join(folder, 'e.duckdb')
    const text = execFileSync(process.execPath, ['--input-type=module', '-e', script, file], { encoding: 'utf8' })
    expect(classifySqlError(new Error(text))).toMatchObject({ kind: 'lock', retryable: true })
  })

  test('an invalidated database is fatal, and another attempt opens it anew', async () => {
    const broken = await DuckDBInstance.create(join(folder, 'broken.duckdb'))
    const connection = await broken.connect()
    await connection.run("SET GLOBAL debug_checkpoint_abort = 'before_header'; CREATE TABLE x AS SELECT 1")
    const first = await errorOf(connection.run('CHECKPOINT'))
    const second = await errorOf(connection.run('SELECT 1'))
    connection.disconnectSync()
    broken.closeSync()
    for (const error of [first, second])
      expect(classifySqlError(error)).toMatchObject({ kind: 'fatal', retryable: true })
  })

  test('a closed connection is a lost one', async () => {
    const connection = await instance.connect()
    connection.disconnectSync()
    expect(classifySqlError(await errorOf(connection.run('SELECT 1')))).toMatchObject({
      kind: 'connection',
      retryable: true,
    })
  })
})

describe('other errors', () => {
  test.each([
    ['IO Error: Could not write file "x": No space left on device', 'io', false],
    ['TransactionContext Error: Failed to commit: Could not write file "x.wal": No space left on device', 'io', false],
    ['IO Error: Could not read from file "x": Input/output error', 'io', true],
    ['HTTP Error: Unable to connect to URL https://x: 503 (Service Unavailable)', 'io', true],
    ['HTTP Error: HTTP GET error on https://x (HTTP 403)', 'auth', false],
    ["HTTP Error: HTTP GET error on 'https://x' (HTTP 0 Internal Server Error)", 'io', true],
    ['Invalid Input Error: Authentication failed', 'auth', false],
    ['INTERNAL Error: Attempted to access index 3 within vector of size 3', 'internal', false],
    ['something else', 'other', false],
  ])('%s', (text, kind, retryable) => {
    expect(classifySqlError(new Error(text))).toMatchObject({ kind, retryable })
  })

  test('our own errors keep their message and hint', () => {
    expect(classifySqlError(new MillraceError('DATABASE_LOCKED', 'held', { hint: 'wait' }))).toEqual({
      kind: 'lock',
      retryable: true,
      message: 'held',
      hint: 'wait',
    })
    expect(classifySqlError(new MillraceError('AUDIT_FAILED', 'bad rows'))).toMatchObject({
      kind: 'other',
      retryable: false,
    })
    expect(classifySqlError(new ConnectionLost('gone'))).toMatchObject({ kind: 'connection', retryable: true })
    expect(classifySqlError(new CommitOutcomeUnknown(new Error('INTERRUPT Error: Interrupted!')))).toMatchObject({
      kind: 'interrupt',
      retryable: true,
    })
    expect(classifySqlError('text')).toMatchObject({ kind: 'other', message: 'text' })
  })
})
