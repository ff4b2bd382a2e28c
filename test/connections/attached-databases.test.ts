/** Databases attached beside the main one: read, written, and never opened twice. */
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { extensionDirectory } from '../helpers/extensions.ts'
import { startPostgres, type PostgresServer } from '../helpers/postgres.ts'
import { startQuackServer } from '../helpers/quack-server.ts'
import { holdInProcess } from './processes/hold.ts'
import { createHarness, openFiles, until } from './registry-harness.ts'

let extensions = ''
let postgres: PostgresServer

beforeAll(async () => {
  extensions = await extensionDirectory('ducklake', 'postgres_scanner', 'sqlite_scanner', 'httpfs', 'quack')
  postgres = await startPostgres()
  await postgres.createDatabase('app')
  await postgres.query("CREATE TABLE customers AS SELECT 1 AS id, 'Ada' AS name", 'app')
}, 240_000)

afterAll(() => postgres?.stop())

const duckdb = { catalogs: { side: 'side.duckdb' } }

describe('an attached DuckDB file', () => {
  test('is read beside the main one, and written by leases that name it', async () => {
    const { registry, config } = createHarness()
    const one = config(duckdb)
    {
      await using main = await registry.lease(one, { holder: 'main' })
      await main.run("CREATE TABLE t AS SELECT 'main' AS here")
      await using side = await registry.lease(one, { holder: 'side', catalog: 'SIDE' })
      expect(side.database).toMatchObject({ catalog: 'side', path: expect.stringMatching(/side\.duckdb$/) })
      await side.transaction(async (tx) => {
        await tx.run("CREATE TABLE t AS SELECT 'side' AS here")
        await tx.run('CREATE TEMP TABLE scratch AS FROM t')
        await tx.run('INSERT INTO t FROM scratch')
      })
      expect(await side.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 2 }])
      expect(await main.rows('SELECT (FROM t) AS own, (SELECT any_value(here) FROM side.t) AS other')).toEqual([
        { own: 'main', other: 'side' },
      ])
    }
    await using main = await registry.lease(one, { holder: 'main', catalog: 'test' })
    expect(await main.rows('FROM t')).toEqual([{ here: 'main' }])
    expect(registry.snapshot().opens).toBe(1)
  })

  test('is the default where no database is written, and is let go when it is idle', async () => {
    const { registry, config, folder } = createHarness({ idleMs: 1 })
    const one = config({ database: undefined, ...duckdb })
    {
      await using lease = await registry.lease(one, { holder: 'test' })
      await lease.run('CREATE TABLE t AS SELECT 1 AS x')
      expect(await lease.rows('SELECT x, current_database() AS db FROM side.main.t')).toEqual([{ x: 1, db: 'side' }])
    }
    await until(() => openFiles(folder).length === 0)
  })

  test('that is attached read-only is not written', async () => {
    const { registry, config } = createHarness()
    const writable = config(duckdb)
    await (await registry.lease(writable, { holder: 'test', catalog: 'side' })).release()
    const one = config({ catalogs: { side: { path: 'side.duckdb', read_only: true } } })
    await using lease = await registry.lease(one, { holder: 'test' })
    await expect(lease.run('CREATE TABLE side.t AS SELECT 1 AS x')).rejects.toThrow('read-only')
    await expect(registry.lease(one, { holder: 'test', catalog: 'side' })).rejects.toMatchObject({
      code: 'CONFIG',
      message: 'connection.catalogs.side is attached read-only; nothing can be written to it',
    })
  })

  test('that another process holds is waited for', async () => {
    const { registry, config, folder } = createHarness()
    const holder = await holdInProcess(join(folder, 'side.duckdb'))
    const said: string[] = []
    const waiting = registry.lease(config(duckdb), { holder: 'test', onWaiting: (message) => said.push(message) })
    await until(() => said.length > 0)
    expect(openFiles(folder)).toEqual([])
    holder.kill()
    await using lease = await waiting
    expect(await lease.rows('FROM side.held')).toEqual([{ x: 1 }])
    expect(said[0]).toContain(`process ${holder.pid}`)
  })

  test('that this process has open elsewhere is refused', async () => {
    const { registry, config, folder } = createHarness()
    const instance = await DuckDBInstance.create(join(folder, 'side.duckdb'))
    try {
      await expect(registry.lease(config(duckdb), { holder: 'test' })).rejects.toMatchObject({
        code: 'DATABASE',
        message: expect.stringContaining('outside the connection registry'),
      })
    } finally {
      instance.closeSync()
    }
  })
})

describe('one file in two connections', () => {
  test('is refused while the other one is in use, whichever has it attached', async () => {
    const { registry, config, folder } = createHarness()
    const alone = config({ database: 'side.duckdb' })
    const attached = config(duckdb)
    const side = join(folder, 'side.duckdb')
    {
      await using _lease = await registry.lease(attached, { holder: 'first' })
      await expect(registry.lease(alone, { holder: 'second' })).rejects.toMatchObject({
        code: 'CONNECTION_CONFLICT',
        message: `${side} is in use, attached to ${join(folder, 'test.duckdb')}; it was asked for by itself, too`,
        hint: expect.stringContaining('one gateway'),
      })
      await expect(
        registry.lease(config({ database: 'third.duckdb', catalogs: { other: './side.duckdb' } }), { holder: 'third' }),
      ).rejects.toMatchObject({ code: 'CONNECTION_CONFLICT' })
    }
    {
      // Nobody uses it now: it makes way.
      await using lease = await registry.lease(alone, { holder: 'second' })
      await lease.run('CREATE TABLE t AS SELECT 1 AS x')
      await expect(registry.lease(attached, { holder: 'first' })).rejects.toMatchObject({
        code: 'CONNECTION_CONFLICT',
        message: `${side} is in use; it was asked for as a catalog of ${join(folder, 'test.duckdb')}, too`,
      })
    }
    await using lease = await registry.lease(attached, { holder: 'first' })
    expect(await lease.rows('FROM side.t')).toEqual([{ x: 1 }])
  })

  test('is one file for a lake and for who opens its catalog, too', async () => {
    const { registry, config } = createHarness()
    const lake = config({
      type: 'ducklake',
      database: undefined,
      catalog: 'lake.ducklake',
      extension_directory: extensions,
    })
    await using _lease = await registry.lease(lake, { holder: 'first' })
    await expect(registry.lease(config({ database: 'lake.ducklake' }), { holder: 'second' })).rejects.toMatchObject({
      code: 'CONNECTION_CONFLICT',
    })
  })

  test('loses nothing when the two take turns', async () => {
    const { registry, config } = createHarness()
    const both = [config({ database: 'side.duckdb' }), config(duckdb)]
    for (let turn = 0; turn < 6; turn += 1) {
      const one = both[turn % 2]
      if (one === undefined) continue
      await using lease = await registry.lease(one, { holder: 'test', catalog: 'side' })
      await lease.transaction(async (tx) => {
        await tx.run('CREATE TABLE IF NOT EXISTS turns (turn INTEGER)')
        await tx.run(`INSERT INTO turns VALUES (${turn})`)
      })
    }
    await using lease = await registry.lease(config(duckdb), { holder: 'test' })
    expect(await lease.rows('SELECT count(*) AS n FROM side.turns')).toEqual([{ n: 6 }])
  })
})

describe('catalogs of other types', () => {
  test('are read; those that promise nothing are not written', async () => {
    const { registry, config, folder } = createHarness()
    {
      const instance = await DuckDBInstance.create(':memory:', { extension_directory: extensions })
      const connection = await instance.connect()
      await connection.run(`ATTACH '${join(folder, 's.sqlite')}' AS s (TYPE sqlite); CREATE TABLE s.t AS SELECT 7 AS x`)
      connection.disconnectSync()
      instance.closeSync()
    }
    const one = config({
      extension_directory: extensions,
      catalogs: {
        app: { path: postgres.address('app'), password: postgres.password },
        lite: 'sqlite:s.sqlite',
        lake: { path: 'ducklake:lake.ducklake', data_path: 'lake-data' },
        memory: ':memory:',
      },
    })
    await using lease = await registry.lease(one, { holder: 'test' })
    expect(
      await lease.rows('SELECT (SELECT name FROM app.public.customers) AS name, (SELECT x FROM lite.t) AS x'),
    ).toEqual([{ name: 'Ada', x: 7 }])
    for (const catalog of ['app', 'lite']) {
      await expect(registry.lease(one, { holder: 'test', catalog })).rejects.toMatchObject({
        code: 'CONFIG',
        message: expect.stringContaining('attached for reading'),
        hint: expect.any(String),
      })
    }
    await using inLake = await registry.lease(one, { holder: 'test', catalog: 'lake' })
    await inLake.transaction((tx) => tx.run('CREATE TABLE copied AS FROM app.public.customers'))
    expect(await lease.rows('FROM lake.copied')).toEqual([{ id: 1, name: 'Ada' }])
    expect(inLake.database.capabilities).toMatchObject({ writers: 'one', uniqueKeys: false })
    await expect(registry.lease(one, { holder: 'test', catalog: 'lak' })).rejects.toMatchObject({
      code: 'CONFIG',
      message: "the connection has no catalog 'lak'; it has 'test', 'app', 'lite', 'lake', 'memory'",
      hint: "Did you mean 'lake'?",
    })
  })

  test('a password that is wrong is tried anew by the next lease, and stands in no message or list', async () => {
    const { registry, config } = createHarness()
    const passwords = ['a-wrong-secret', postgres.password]
    let asked = 0
    const one = config({
      extension_directory: extensions,
      catalogs: {
        app: { path: postgres.address('app'), password: () => passwords[Math.min(asked++, 1)] ?? '' },
      },
    })
    const error = await registry.lease(one, { holder: 'first' }).catch((caught: unknown) => caught as Error)
    expect(error).toMatchObject({ code: 'DATABASE', message: expect.stringContaining("catalog 'app'") })
    await using lease = await registry.lease(one, { holder: 'second' })
    const shown = JSON.stringify([
      (error as Error).message,
      (error as Error).stack,
      registry.snapshot(),
      await lease.rows('FROM duckdb_secrets()'),
      await lease.rows('FROM duckdb_databases()'),
    ])
    expect(shown).not.toContain('a-wrong-secret')
    expect(shown).not.toContain(postgres.password)
    expect(await lease.rows('SELECT name FROM app.public.customers')).toEqual([{ name: 'Ada' }])
    expect(registry.snapshot().opens).toBe(1)
  })

  test('a Quack server is read with a token that no list shows', async () => {
    const server = await startQuackServer({ file: ':memory:', token: 'a-quack-secret' })
    await server.run('CREATE TABLE served AS SELECT 42 AS x')
    const { registry, config } = createHarness()
    const one = config({
      extension_directory: server.extensions,
      catalogs: { remote: { uri: server.uri, token: 'a-quack-secret' } },
    })
    await using lease = await registry.lease(one, { holder: 'test' })
    expect(await lease.rows('FROM remote.served')).toEqual([{ x: 42 }])
    const shown = JSON.stringify([
      await lease.rows('FROM duckdb_databases()'),
      await lease.rows('FROM duckdb_secrets()'),
    ])
    expect(shown).not.toContain('a-quack-secret')
    await expect(registry.lease(one, { holder: 'test', catalog: 'remote' })).rejects.toMatchObject({ code: 'CONFIG' })
  })

  test('a catalog with the name of the main one is refused', async () => {
    const { registry, config } = createHarness()
    await expect(
      registry.lease(config({ catalogs: { test: 'side.duckdb' } }), { holder: 'test' }),
    ).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining('another name') })
  })

  test('a first catalog that is only read is no default', async () => {
    const { registry, config } = createHarness()
    const one = config({
      database: undefined,
      extension_directory: extensions,
      catalogs: { app: { path: postgres.address('app'), password: postgres.password } },
    })
    await expect(registry.lease(one, { holder: 'test' })).rejects.toMatchObject({ code: 'CONFIG' })
  })
})
