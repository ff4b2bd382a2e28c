import { AsyncLocalStorage } from 'node:async_hooks'
import { existsSync, linkSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, test } from 'vitest'
import { parseConnection } from '../../src/connections/config.ts'
import { connectionRegistry } from '../../src/connections/registry.ts'
import { answerOfThread } from './answer-of-thread.ts'
import { createHarness, LONG_QUERY, openFiles, until } from './registry-harness.ts'

describe('one instance', () => {
  test('50 concurrent first leases open one', async () => {
    const { registry, lease } = createHarness()
    const counts = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => {
        await using one = await lease(`holder ${index}`)
        const [row] = await one.rows<{ n: number }>('SELECT 1 AS n')
        return row?.n
      }),
    )
    expect(counts).toEqual(Array.from({ length: 50 }, () => 1))
    expect(registry.snapshot().opens).toBe(1)
  })

  test('all spellings of a file share one', async () => {
    const { registry, lease, folder } = createHarness()
    mkdirSync(join(folder, 'sub'))
    symlinkSync('../test.duckdb', join(folder, 'sub/link.duckdb'))
    await using first = await lease('a')
    await first.run('CREATE TABLE t AS SELECT 1 AS x')
    await using second = await lease('b', { database: join(folder, 'sub/link.duckdb') })
    await using third = await lease('c', { database: './sub/../test.duckdb' })
    expect(await second.rows('FROM t')).toEqual([{ x: 1 }])
    expect(await third.rows('FROM t')).toEqual([{ x: 1 }])
    expect(registry.snapshot()).toMatchObject({ opens: 1, databases: [{ state: 'open' }] })
    expect(second.key).toBe(first.key)
  })

  test('what loses a row with two instances of DuckDB’s own loses none here', async () => {
    const { lease, folder } = createHarness()
    const plain = join(folder, 'plain.duckdb')
    const one = await DuckDBInstance.create(plain)
    const first = await one.connect()
    await first.run('CREATE TABLE t (x INTEGER)')
    const other = await DuckDBInstance.create(plain)
    const second = await other.connect()
    await second.run('INSERT INTO t VALUES (2)')
    await first.run('INSERT INTO t VALUES (1)')
    first.disconnectSync()
    one.closeSync()
    second.disconnectSync()
    other.closeSync()
    {
      await using kept = await lease('reader', { database: 'plain.duckdb' })
      expect(await kept.rows('FROM t')).toHaveLength(1)
    }
    symlinkSync('test.duckdb', join(folder, 'link.duckdb'))
    await using mine = await lease('a')
    await mine.run('CREATE TABLE t (x INTEGER)')
    await using theirs = await lease('b', { database: 'link.duckdb' })
    await theirs.run('INSERT INTO t VALUES (2)')
    await mine.run('INSERT INTO t VALUES (1)')
    expect(await theirs.rows('FROM t ORDER BY x')).toEqual([{ x: 1 }, { x: 2 }])
  })

  test('two projects share a file, each with its own folder for relative paths', async () => {
    const { registry, lease, folder } = createHarness()
    await using first = await lease('a')
    await first.run("COPY (SELECT 'mine' AS who) TO '" + join(folder, 'who.csv') + "'")
    mkdirSync(join(folder, 'other'))
    await first.run("COPY (SELECT 'theirs' AS who) TO '" + join(folder, 'other/who.csv') + "'")
    const other = parseConnection({ database: '../test.duckdb' }, { root: join(folder, 'other'), env: {} })
    await using second = await registry.lease(other, { holder: 'b' })
    expect(await second.rows("FROM 'who.csv'")).toEqual([{ who: 'theirs' }])
    expect(await first.rows("FROM 'who.csv'")).toEqual([{ who: 'mine' }])
  })

  test('a failed open is forgotten', async () => {
    const { registry, lease, folder } = createHarness()
    await expect(lease('a', { database: 'missing/x.duckdb' })).rejects.toMatchObject({ code: 'DATABASE' })
    expect(registry.snapshot().databases).toEqual([])
    mkdirSync(join(folder, 'missing'))
    await using opened = await lease('b', { database: 'missing/x.duckdb' })
    expect(opened.database).toMatchObject({ path: join(folder, 'missing/x.duckdb'), catalog: 'x' })
  })

  test('the same file with other settings is a conflict that shows them', async () => {
    const { lease, folder } = createHarness()
    await using _first = await lease('a', { connector_config: { threads: 2 } })
    await expect(lease('b', { connector_config: { threads: 1 }, concurrent_tasks: 3 })).rejects.toMatchObject({
      code: 'CONNECTION_CONFLICT',
      message:
        `${join(folder, 'test.duckdb')} is in use with another configuration: ` +
        'concurrent_tasks is 8 in use and 3 here; connector_config.threads is "2" in use and "1" here',
    })
  })

  test('other settings replace those of an instance that nobody uses', async () => {
    const { lease, registry } = createHarness()
    const first = await lease('a', { connector_config: { threads: 2 } })
    await first.run('CREATE TABLE t AS SELECT 1 AS x')
    await first.release()
    await using second = await lease('b', { connector_config: { threads: 1 } })
    expect(await second.rows("SELECT x, current_setting('threads') AS threads FROM t")).toEqual([{ x: 1, threads: 1 }])
    expect(registry.snapshot().databases).toHaveLength(1)
  })

  test('a file that this process opened by itself is refused, under any name', async () => {
    const { lease, folder } = createHarness()
    const instance = await DuckDBInstance.create(join(folder, 'test.duckdb'))
    try {
      await expect(lease()).rejects.toMatchObject({
        code: 'DATABASE',
        message: expect.stringContaining('outside the connection registry'),
      })
      linkSync(join(folder, 'test.duckdb'), join(folder, 'hard.duckdb'))
      await expect(lease('b', { database: 'hard.duckdb' })).rejects.toMatchObject({ code: 'DATABASE' })
    } finally {
      instance.closeSync()
    }
    await using afterwards = await lease()
    expect(await afterwards.rows('SELECT 1 AS x')).toEqual([{ x: 1 }])
  })

  test('databases in memory are one per configuration and keep their data while nobody uses them', async () => {
    const { lease } = createHarness({ idleMs: 1 })
    const first = await lease('a', { database: ':memory:' })
    await first.run('CREATE TABLE t AS SELECT 1 AS x')
    await first.release()
    await new Promise((resolve) => setTimeout(resolve, 30))
    await using second = await lease('b', { database: ':memory:' })
    expect(await second.rows('FROM t')).toEqual([{ x: 1 }])
    expect(second.database).toMatchObject({ path: null, catalog: 'memory' })
    await using other = await lease('c', { database: ':memory:', connector_config: { threads: 1 } })
    await expect(other.rows('FROM t')).rejects.toThrow('Catalog Error')
  })

  test('a worker thread is refused', async () => {
    const answer = await answerOfThread(new URL('./processes/lease-in-thread.ts', import.meta.url))
    expect(answer).toMatchObject({ code: 'DATABASE', message: expect.stringContaining('main thread') })
  })

  test('the process has one registry, shared by copies of the package', () => {
    expect(connectionRegistry()).toBe(connectionRegistry())
    expect(Reflect.get(globalThis, Symbol.for('millrace.connection-registry'))).toBe(connectionRegistry())
  })
})

describe('limits', () => {
  test('concurrent_tasks leases are out at once, the rest are served in order', async () => {
    const { lease, registry } = createHarness()
    const take = async (limit: number) => {
      const order: number[] = []
      let most = 0
      await Promise.all(
        Array.from({ length: 30 }, async (_, index) => {
          await using one = await lease(`h${index}`, { database: `${limit}.duckdb`, concurrent_tasks: limit })
          order.push(index)
          most = Math.max(most, registry.snapshot().databases.find(({ key }) => key === one.key)?.leases.length ?? 0)
          await one.rows('SELECT 1')
        }),
      )
      return { order, most }
    }
    expect((await take(1)).order).toEqual(Array.from({ length: 30 }, (_, index) => index))
    expect((await take(3)).most).toBe(3)
  })

  test('a timeout names the holders', async () => {
    const { lease, registry, config } = createHarness()
    await using _held = await lease('sales.orders', { concurrent_tasks: 1 })
    await expect(
      registry.lease(config({ concurrent_tasks: 1 }), { holder: 'late', timeoutMs: 20 }),
    ).rejects.toMatchObject({
      code: 'LEASE_TIMEOUT',
      message: expect.stringContaining('sales.orders'),
    })
  })

  test('an abort while waiting rejects with its reason and leaves the queue', async () => {
    const { lease, registry, config } = createHarness()
    await using _held = await lease('a', { concurrent_tasks: 1 })
    const controller = new AbortController()
    const waiting = registry.lease(config({ concurrent_tasks: 1 }), { holder: 'b', signal: controller.signal })
    await until(() => registry.snapshot().databases[0]?.waiting.length === 1)
    const reason = new Error('given up')
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    expect(registry.snapshot().databases[0]).toMatchObject({ waiting: [], leases: [{ holder: 'a' }] })
  })
})

describe('life cycle', () => {
  test('an idle file is let go, and its log is gone', async () => {
    const { lease, registry, folder } = createHarness({ idleMs: 20 })
    const first = await lease()
    await first.run('CREATE TABLE t AS SELECT range AS x FROM range(1000)')
    await first.release()
    await until(() => openFiles(folder).length === 0)
    expect(registry.snapshot().databases).toEqual([])
    expect(existsSync(join(folder, 'test.duckdb.wal'))).toBe(false)
    await using again = await lease()
    expect(await again.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 1000 }])
  })

  test('a lease taken while the idle time runs keeps the instance', async () => {
    const { lease, registry, folder } = createHarness({ idleMs: 30 })
    const first = await lease()
    await first.release()
    await using _second = await lease()
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(registry.snapshot().opens).toBe(1)
    expect(openFiles(folder).length).toBeGreaterThan(0)
  })

  test('only the last owner closes', async () => {
    const { registry, lease, folder, detach } = createHarness()
    const second = registry.attach('second worker')
    const one = await lease()
    await one.run('CREATE TABLE t AS SELECT 1 AS x')
    await one.release()
    await detach()
    expect(registry.snapshot()).toMatchObject({ owners: ['second worker'], databases: [{ state: 'open' }] })
    await second.detach()
    await second.detach()
    expect(registry.snapshot()).toMatchObject({ owners: [], databases: [] })
    expect(openFiles(folder)).toEqual([])
  })

  test('the end lets holders finish, refuses those who wait, and holds newcomers until everything is closed', async () => {
    const { registry, lease, config, detach } = createHarness({ graceMs: 5000 })
    const raw = { concurrent_tasks: 1 }
    const holder = await lease('a', raw)
    await holder.run('CREATE TABLE t (x INTEGER)')
    const waiter = registry.lease(config(raw), { holder: 'b' })
    await until(() => registry.snapshot().databases[0]?.waiting.length === 1)
    const refused = expect(waiter).rejects.toThrow('shuts down')
    const gone = detach()
    await refused
    const newcomer = registry.lease(config(raw), { holder: 'c' })
    await holder.transaction((tx) => tx.run('INSERT INTO t VALUES (1)'))
    await holder.release()
    await gone
    await using again = await newcomer
    expect(await again.rows('FROM t')).toEqual([{ x: 1 }])
    expect(registry.snapshot().opens).toBe(2)
    await again.release()
    await registry.attach('last').detach()
  })

  test('holders that do not finish within the grace time are interrupted', async () => {
    const { lease, detach, folder } = createHarness({ graceMs: 30 })
    const holder = await lease('slow')
    const running = holder.rows(LONG_QUERY)
    const failed = expect(running)
      .rejects.toThrow('shuts down')
      .then(() => holder.release())
    await detach()
    await failed
    expect(openFiles(folder)).toEqual([])
  })

  test('instances, timers and connections keep nothing of the context they were first needed in', async () => {
    const { lease, registry } = createHarness({ idleMs: 10 })
    const storage = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    const original = globalThis.setTimeout
    globalThis.setTimeout = Object.assign(
      (...args: Parameters<typeof original>) => {
        if (args[1] === 10) seen.push(storage.getStore() ?? 'outside')
        return original(...args)
      },
      { __promisify__: original.__promisify__ },
    ) as typeof original
    try {
      await storage.run('activity 1', async () => {
        const one = await lease('a')
        await one.run('CREATE TABLE t (x INTEGER)')
        await one.release()
      })
    } finally {
      globalThis.setTimeout = original
    }
    expect(seen).toEqual(['outside'])
    await until(() => registry.snapshot().databases.length === 0)
  })

  test('an invalidated database fails its holders with a retryable error and is opened anew for the next', async () => {
    const { lease, registry } = createHarness()
    const { classifySqlError } = await import('../../src/connections/sql-errors.ts')
    const breaker = await lease('breaker')
    const bystander = await lease('bystander')
    await breaker.run('CREATE TABLE t AS SELECT 1 AS x')
    const running = bystander.rows(LONG_QUERY)
    const bystanderFails = expect(running).rejects.toSatisfy((error) => classifySqlError(error).retryable)
    await breaker.run("SET GLOBAL debug_checkpoint_abort = 'before_header'; INSERT INTO t VALUES (2)")
    await expect(breaker.run('CHECKPOINT')).rejects.toSatisfy((error) => classifySqlError(error).retryable)
    await using fresh = await lease('newcomer')
    await bystanderFails
    expect(await fresh.rows('FROM t ORDER BY x')).toEqual([{ x: 1 }, { x: 2 }])
    expect(registry.snapshot()).toMatchObject({
      opens: 2,
      databases: [{ state: 'open', leases: [{ holder: 'newcomer' }] }],
    })
    await expect(bystander.rows('SELECT 1')).rejects.toSatisfy((error) => classifySqlError(error).retryable)
    await breaker.release()
    await bystander.release()
  })
})
