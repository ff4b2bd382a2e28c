/** What a real Quack server says, and what is made of it: the same that DuckDB itself says of the same statement. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Channel, SqlValues } from '../../../../src/connections/channel.ts'
import { prepareQuackSession } from '../../../../src/connections/databases/quack/quack-session.ts'
import { createQuackChannel, type QuackSession } from '../../../../src/connections/databases/quack/quack-channel.ts'
import { classifySqlError } from '../../../../src/connections/sql-errors.ts'
import { startQuackServer, type QuackServer } from '../../../helpers/quack-server.ts'
import { busyQuery, errorOf, untilBusy } from '../../quack-harness.ts'

const SETUP = "CREATE TABLE t (a INTEGER PRIMARY KEY, b VARCHAR NOT NULL); INSERT INTO t VALUES (1, 'x')"

const ends: (() => void | Promise<void>)[] = []
let server: QuackServer
let instance: DuckDBInstance
let here: DuckDBConnection
let there: Channel

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-quack-errors-'))
  ends.push(() => rmSync(folder, { recursive: true, force: true }))
  server = await startQuackServer({ file: join(folder, 's.duckdb'), token: 'open', onEnd: (end) => ends.unshift(end) })
  instance = await DuckDBInstance.create(':memory:', { extension_directory: server.extensions })
  here = await instance.connect()
  await here.run(`LOAD httpfs; LOAD quack; ${SETUP}`)
  there = createQuackChannel(await begin('there'))
  await there.query(SETUP)
}, 240_000)

afterAll(async () => {
  await there.close()
  here.disconnectSync()
  instance.closeSync()
  for (const end of ends) await end()
})

async function begin(alias: string): Promise<QuackSession> {
  const connection = await instance.connect()
  await connection.run(`ATTACH '${server.uri}#${alias}' AS ${alias} (TYPE quack, TOKEN 'open', DISABLE_SSL true)`)
  const session = { connection, alias, server: 'the server' }
  await prepareQuackSession(session, { settings: {}, extensions: [], database: null })
  return session
}

async function saidHere(sql: string, values?: unknown[]): Promise<unknown> {
  return classifySqlError(await errorOf(here.runAndReadAll(sql, values as never)))
}

async function saidThere(sql: string, values?: SqlValues): Promise<unknown> {
  return classifySqlError(await errorOf(there.query(sql, values)))
}

const LONG = Array.from({ length: 60 }, (_, n) => `'value number ${n}' AS column_${n}`).join(', ')

describe('an error of a statement on the server', () => {
  test.each([
    'selec 1',
    'SELECT nope FROM t',
    'SELECT b, bb FROM t',
    'SELECT * FROM nope',
    'SELECT nofun(1)',
    'SELECT sum(b) FROM t',
    'CREATE TABLE t (a INTEGER)',
    "INSERT INTO t VALUES (1, 'y')",
    'INSERT INTO t VALUES (2, NULL)',
    "SELECT 'x'::INTEGER",
    "SELECT 'ä€', 'x'::INTEGER",
    'SELECT 9223372036854775807::BIGINT + 1',
    "SELECT error('boom')",
    `SELECT error('two\nlines')`,
    `SELECT error('{"exception_type": "Catalog"}')`,
    `SELECT error('Query did not return any columns')`,
    "FROM 'no-such-file.parquet'",
    'LOAD no_such_extension',
    'ROLLBACK',
    '\n\n  SELECT *\n  FROM nope\n  WHERE true',
  ])('%j is of the same kind, at the same place, in the same words as here', async (sql) => {
    expect(await saidThere(sql)).toEqual(await saidHere(sql))
  })

  test.each([
    ['SELECT $1 AS a,\n nope FROM t', [1]],
    ['SELECT $1::INTEGER', ['x']],
    ['INSERT INTO t VALUES ($1, $2)', [1, 'again']],
    ['selec $1', [1]],
  ])('%j with values is at the place where the caller wrote it', async (sql, values) => {
    expect(await saidThere(sql, values)).toEqual(await saidHere(sql, values))
  })

  test.each([
    ['SELECT 1;\nSELECT 2\nFROM nope', { line: 3, column: 6, text: 'FROM nope' }],
    [`SELECT nope, ${LONG}`, { line: 1, column: 8, text: expect.stringMatching(/^SELECT nope, .*\.\.\.$/) }],
    [`SELECT\n${LONG}, nope`, { line: 2, column: null, text: expect.stringMatching(/^\.\.\..* nope$/) }],
  ])('in one of several statements, or in a long line, is shown where it is', async (sql, position) => {
    expect(await saidThere(sql)).toMatchObject({ position })
  })

  test('of another transaction that was first is a conflict that passes', async () => {
    const other = createQuackChannel(await begin('other'))
    try {
      await there.query('BEGIN; UPDATE t SET b = $$y$$')
      await other.query('BEGIN')
      expect(classifySqlError(await errorOf(other.query('UPDATE t SET b = $$z$$')))).toMatchObject({
        kind: 'conflict',
        retryable: true,
        message: expect.stringMatching(/^TransactionContext Error: Conflict on update!/),
      })
      await there.query("ROLLBACK; BEGIN; INSERT INTO t VALUES (7, 'first')")
      await other.query("ROLLBACK; BEGIN; INSERT INTO t VALUES (7, 'second'); SELECT 1")
      await there.query('COMMIT')
      expect(classifySqlError(await errorOf(other.query('COMMIT')))).toMatchObject({
        kind: 'conflict',
        message: expect.stringContaining('PRIMARY KEY or UNIQUE constraint violation'),
      })
    } finally {
      await other.close()
    }
  })

  test('is whole and typed when the caller has asked for plain errors', async () => {
    await there.query('SET SESSION errors_as_json = false')
    try {
      const error = await errorOf(there.query('FROM nope'))
      expect(String(error)).toContain('Table with name nope does not exist!')
      expect(String(error)).not.toContain('quack_query_by_name')
    } finally {
      await there.query('SET SESSION errors_as_json = true')
    }
  })

  test('text without a statement is none', async () => {
    for (const nothing of ['', ' -- nothing', '/* nothing */;']) {
      expect((await there.query(nothing)).getRowsJson()).toEqual([])
    }
  })
})

describe('an error of the way to the server', () => {
  test('a wrong token is refused', async () => {
    const attach = here.run(`ATTACH '${server.uri}' AS wrong (TYPE quack, TOKEN 'nope', DISABLE_SSL true)`)
    expect(classifySqlError(await errorOf(attach))).toMatchObject({ kind: 'auth' })
  })

  test('a server that dies in mid-statement, is gone, or was started anew, is a lost connection', async () => {
    const session = createQuackChannel(await begin('lost'))
    await server.run('CREATE SEQUENCE busy')
    const running = errorOf(session.query(busyQuery(200_000_000_000)))
    await untilBusy(server)
    await server.kill()
    const lost = {
      kind: 'connection',
      retryable: true,
      message: expect.stringMatching(/^the server cannot be reached: /),
    }
    expect(classifySqlError(await running)).toMatchObject(lost)
    expect(await errorOf(session.query('SELECT 1')).then(classifySqlError)).toMatchObject(lost)
    await server.restart()
    expect(await errorOf(session.query('SELECT 1')).then(classifySqlError)).toMatchObject({
      ...lost,
      message: 'the server cannot be reached: it has been restarted, the session is gone',
    })
    await session.close()
  })
})
