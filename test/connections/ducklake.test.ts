/** Lakes with each kind of catalog, in real files and a real PostgreSQL. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseConnection } from '../../src/connections/config.ts'
import type { Lease } from '../../src/connections/lease.ts'
import { classifySqlError } from '../../src/connections/sql-errors.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { startPostgres, type PostgresServer } from '../helpers/postgres.ts'
import { holdInProcess } from './processes/hold.ts'
import { createHarness, until, type Harness } from './registry-harness.ts'

let extensions = ''
let postgres: PostgresServer
let databases = 0

beforeAll(async () => {
  extensions = await extensionDirectory('ducklake', 'postgres_scanner', 'sqlite_scanner', 'httpfs')
  postgres = await startPostgres()
}, 240_000)

afterAll(() => postgres?.stop())

const CATALOGS = ['DuckDB', 'SQLite', 'PostgreSQL'] as const

async function lakeIn(kind: (typeof CATALOGS)[number]): Promise<Record<string, unknown>> {
  const shared = { type: 'ducklake', database: undefined, extension_directory: extensions }
  if (kind === 'DuckDB') return { ...shared, catalog: 'lake.ducklake' }
  if (kind === 'SQLite') return { ...shared, catalog: 'sqlite:lake.sqlite', data_path: 'data/of/it' }
  databases += 1
  const name = `lake_${databases}`
  await postgres.createDatabase(name)
  return { ...shared, catalog: postgres.address(name), password: postgres.password, data_path: 'data' }
}

function leaser({ registry, config }: Harness, raw: Record<string, unknown>) {
  const one = config(raw)
  return (holder = 'test'): Promise<Lease> => registry.lease(one, { holder })
}

describe.each(CATALOGS)('a lake with its catalog in %s', (kind) => {
  test('builds tables and views, rolls back, and is there again when it was closed', async () => {
    const harness = createHarness({ idleMs: 1 })
    const raw = await lakeIn(kind)
    const leaseIt = leaser(harness, raw)
    {
      await using lease = await leaseIt()
      expect(lease.database).toMatchObject({
        catalog: 'lake',
        path: null,
        capabilities: { writers: 'one', uniqueKeys: false, processes: kind === 'PostgreSQL' ? 'many' : 'one' },
      })
      await lease.run('CREATE SCHEMA s')
      await lease.transaction(async (tx) => {
        await tx.run('CREATE TABLE s.orders AS SELECT range AS id FROM range(100)')
        await tx.run('CREATE VIEW s.big AS SELECT * FROM s.orders WHERE id >= 50')
      })
      await lease.script('INSERT INTO s.orders VALUES (1000)')
      const failed = lease.transaction(async (tx) => {
        await tx.run('DELETE FROM s.orders')
        throw new Error('an audit found rows')
      })
      await expect(failed).rejects.toThrow('an audit found rows')
      await expect(lease.script("DROP TABLE s.orders; SELECT error('no')")).rejects.toThrow('no')
      await lease.stage('CREATE TEMP TABLE staged AS SELECT * FROM s.big')
      expect(
        await lease.rows('SELECT (SELECT count(*) FROM s.orders) AS n, (SELECT count(*) FROM staged) AS big'),
      ).toEqual([{ n: 101, big: 51 }])
      expect(
        await lease.rows('SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()'),
      ).toEqual([{ table_name: 'orders' }])
    }
    await until(() => harness.registry.snapshot().databases.length === 0)
    await using again = await leaseIt()
    expect(await again.rows('SELECT count(*) AS n FROM s.big')).toEqual([{ n: 51 }])
    expect(harness.registry.snapshot().opens).toBe(2)
  })

  test('has one transaction at a time, in every registry of the process, while others read', async () => {
    const harness = createHarness()
    const raw = await lakeIn(kind)
    const leaseIt = leaser(harness, raw)
    {
      await using lease = await leaseIt()
      await lease.run('CREATE TABLE t AS SELECT 0 AS x; CREATE TABLE counted AS SELECT 0 AS n')
    }
    let inside = 0
    let most = 0
    const write = async (number: number) => {
      await using lease = await leaseIt(`writer ${number}`)
      await lease.transaction(async (tx) => {
        inside += 1
        most = Math.max(most, inside)
        await tx.run('UPDATE counted SET n = n + 1')
        await tx.run(`CREATE OR REPLACE TABLE t_${number} AS SELECT x FROM t`)
        inside -= 1
      })
    }
    const written = new AbortController()
    const read = async () => {
      await using lease = await leaseIt('reader')
      let reads = 0
      for (; !written.signal.aborted; reads += 1) await lease.rows('SELECT count(*) FROM t, counted')
      return reads
    }
    const reader = read()
    await Promise.all([1, 2, 3, 4, 5, 6].map(write))
    written.abort()
    expect(await reader).toBeGreaterThan(0)
    expect(most).toBe(1)
    await using lease = await leaseIt()
    expect(await lease.rows('FROM counted')).toEqual([{ n: 6 }])
  })
})

describe('a lake in a file', () => {
  test.each(['DuckDB', 'SQLite'] as const)('in %s is waited for while another process has it', async (kind) => {
    const harness = createHarness({ idleMs: 1 })
    const leaseIt = leaser(harness, await lakeIn(kind))
    {
      await using lease = await leaseIt()
      await lease.run('CREATE TABLE t AS SELECT 1 AS x')
    }
    await until(() => harness.registry.snapshot().databases.length === 0)
    const file = kind === 'DuckDB' ? 'lake.ducklake' : 'lake.sqlite.millrace-lock'
    const holder = await holdInProcess(join(harness.folder, file))
    const config = harness.config(await lakeIn(kind))
    await expect(harness.registry.lease(config, { holder: 'late', lockTimeoutMs: 0 })).rejects.toMatchObject({
      code: 'DATABASE_LOCKED',
      message: expect.stringContaining(`process ${holder.pid}`),
    })
    const said: string[] = []
    const waiting = harness.registry.lease(config, { holder: 'waits', onWaiting: (message) => said.push(message) })
    await until(() => said.length > 0)
    holder.kill()
    await using lease = await waiting
    expect(await lease.rows('FROM t')).toEqual([{ x: 1 }])
    expect(said[0]).toContain(`process ${holder.pid}`)
  })

  test('has its data beside its catalog, or where data_path says', async () => {
    const { lease, folder } = createHarness()
    const raw = await lakeIn('DuckDB')
    const build = async (more: Record<string, unknown>) => {
      await using one = await lease('test', { ...raw, ...more })
      await one.run('CREATE TABLE t AS FROM range(100)')
    }
    await build({})
    await build({ catalog: 'other.ducklake', data_path: 'elsewhere/deep', encrypted: true, metadata_schema: 'meta' })
    expect(existsSync(join(folder, 'lake.ducklake.files', 'main', 't'))).toBe(true)
    expect(existsSync(join(folder, 'elsewhere', 'deep', 'main', 't'))).toBe(true)
  })

  test('keeps the data path that it was made with', async () => {
    const { registry, config, folder } = createHarness({ idleMs: 1 })
    const raw = await lakeIn('SQLite')
    await (await registry.lease(config(raw), { holder: 'first' })).release()
    await until(() => registry.snapshot().databases.length === 0)
    await expect(registry.lease(config({ ...raw, data_path: 'moved' }), { holder: 'second' })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining(join(folder, 'moved')),
    })
    const { data_path: _, ...without } = raw
    await (await registry.lease(config(without), { holder: 'third' })).release()
  })
})

describe('a lake in PostgreSQL', () => {
  test('a wrong password is refused without being said anywhere', async () => {
    const { registry, config } = createHarness()
    const raw = { ...(await lakeIn('PostgreSQL')), password: 'a-wrong-secret' }
    const error = await registry.lease(config(raw), { holder: 'test' }).catch((caught: unknown) => caught as Error)
    expect(error).toMatchObject({
      code: 'DATABASE',
      message: expect.stringContaining('password authentication failed'),
    })
    const said = [
      (error as Error).message,
      JSON.stringify(error),
      (error as Error).stack,
      JSON.stringify(registry.snapshot()),
    ]
    expect(said.join('\n')).not.toContain('a-wrong-secret')
  })

  test('a password that changes reaches connections that are made later, and ends nothing that runs', async () => {
    const { registry, folder } = createHarness()
    const raw = await lakeIn('PostgreSQL')
    const name = `app_${databases}`
    await postgres.query(`CREATE ROLE ${name} LOGIN SUPERUSER PASSWORD 'first-secret'`)
    const tokens = ['first-secret', 'second-secret']
    let given = 0
    const config = parseConnection(
      {
        ...raw,
        catalog: String(raw['catalog']).replace('user=postgres', `user=${name}`),
        // Its life is over at once, so that each lease asks again.
        password: () => ({ token: tokens[Math.min(given, 1)] ?? '', expiresAtMs: Date.now() + 50 }),
      },
      { root: folder, env: {} },
    )
    await using first = await registry.lease(config, { holder: 'first' })
    await first.run('CREATE TABLE t AS SELECT 1 AS x')
    await first.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (2)')
      await postgres.query(`ALTER ROLE ${name} PASSWORD 'second-secret'`)
      given = 1
      await new Promise((resolve) => setTimeout(resolve, 60))
      await using second = await registry.lease(config, { holder: 'second' })
      expect(await second.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 1 }])
    })
    await postgres.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${name}'`)
    expect(await first.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 2 }])
    await first.transaction((tx) => tx.run('INSERT INTO t VALUES (3)'))
    const shown = JSON.stringify([
      registry.snapshot(),
      await first.rows('FROM duckdb_secrets()'),
      await first.rows('SELECT path, options FROM duckdb_databases()'),
    ])
    expect(shown).not.toMatch(/first-secret|second-secret/)
  })

  test('a server that is not there is an error that passes', async () => {
    const { registry, config } = createHarness()
    const raw = { ...(await lakeIn('PostgreSQL')), catalog: 'postgres:dbname=x host=127.0.0.1 port=1 user=postgres' }
    const error = await registry.lease(config(raw), { holder: 'test' }).catch((caught: unknown) => caught)
    expect(classifySqlError(error)).toMatchObject({ kind: 'connection', retryable: true })
  })
})
