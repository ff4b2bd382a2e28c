/** `pool` in effect: how long things may take and live, and how many at once. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseConnection } from '../../src/connections/config.ts'
import { duckdb } from '../../src/connections/databases/duckdb.ts'
import type { Database } from '../../src/connections/databases/database.ts'
import { motherduck } from '../../src/connections/databases/motherduck.ts'
import type { Lease } from '../../src/connections/lease.ts'
import { createHarness, LONG_QUERY, openFiles, until, type Harness } from './registry-harness.ts'

describe('statement_timeout', () => {
  const raw = { pool: { statement_timeout: '60ms' } }

  test('interrupts a statement that runs longer, says so, and leaves the lease fit for use', async () => {
    const { lease } = createHarness()
    await using one = await lease('a', raw)
    const error: unknown = await one.rows(LONG_QUERY).catch((caught: unknown) => caught)
    expect(error).toMatchObject({
      name: 'MillraceError',
      code: 'SQL',
      message: 'a statement was interrupted after 0.06 s (pool.statement_timeout)',
      hint: expect.stringContaining('statement_timeout'),
    })
    expect(await one.rows('SELECT 1 AS x')).toEqual([{ x: 1 }])
  })

  test('rolls the transaction back, and does not add up over its statements', async () => {
    const { lease } = createHarness()
    await using one = await lease('a', raw)
    await one.run('CREATE TABLE t (x INTEGER)')
    const slow = one.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (1)')
      await tx.rows(LONG_QUERY)
    })
    await expect(slow).rejects.toThrow('pool.statement_timeout')
    expect(await one.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 0 }])
    const startedMs = performance.now()
    await one.transaction(async (tx) => {
      while (performance.now() - startedMs < 120) await tx.run('INSERT INTO t VALUES (2)')
    })
    expect(await one.rows('SELECT count(*) > 0 AS some FROM t')).toEqual([{ some: true }])
  })

  test('never ends a COMMIT or a script', async () => {
    const { lease } = createHarness()
    await using watcher = await lease('watcher', raw)
    await watcher.run('CREATE TABLE t (x INTEGER)')
    // Every commit now takes a checkpoint of 200 ms with it.
    await watcher.run("SET GLOBAL checkpoint_threshold = '1KB'; SET GLOBAL debug_checkpoint_sleep_ms = 200")
    await using one = await lease('a', raw)
    await one.transaction((tx) => tx.run('INSERT INTO t SELECT range FROM range(1000)'))
    await one.script('INSERT INTO t SELECT range FROM range(1000)')
    await watcher.run('SET GLOBAL debug_checkpoint_sleep_ms = 0')
    expect(await watcher.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 2000 }])
  })

  test('waits for a statement that nothing can end, and fails then', async () => {
    let ended = false
    const { lease } = createHarness({ databases: { duckdb: withoutInterrupt(() => (ended = true)) } })
    await using one = await lease('a', { ...raw, database: ':memory:' })
    // About half a second on one thread.
    const slow = one.rows('SELECT count(*) AS n FROM range(300_000_000) WHERE range % 7 = 3')
    await expect(slow).rejects.toMatchObject({
      code: 'SQL',
      message: expect.stringContaining('could not be interrupted and has ended by itself'),
    })
    expect(ended).toBe(true)
  })
})

describe('lease_timeout', () => {
  test('is how long a lease waits for its turn, unless it says otherwise itself', async () => {
    const { lease, registry, config } = createHarness()
    const raw = { concurrent_tasks: 1, pool: { lease_timeout: '20ms' } }
    await using _held = await lease('sales.orders', raw)
    await expect(lease('late', raw)).rejects.toMatchObject({
      code: 'LEASE_TIMEOUT',
      message: expect.stringContaining('sales.orders'),
    })
    await expect(registry.lease(config(raw), { holder: 'later', timeoutMs: 1 })).rejects.toThrow('within 0.0 s')
  })
})

describe('idle', () => {
  test('is how long a file is kept, whatever the registry’s default', async () => {
    const { lease, folder } = createHarness({ idleMs: 60_000 })
    await (await lease('a', { pool: { idle: '10ms' } })).release()
    await until(() => openFiles(folder).length === 0)
  })

  test('of weeks is not over at once', async () => {
    const { lease, registry } = createHarness({ idleMs: 1 })
    await (await lease('a', { pool: { idle: '60d' } })).release()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(registry.snapshot().databases).toMatchObject([{ state: 'open' }])
  })
})

describe('max_age', () => {
  const raw = { pool: { max_age: '20ms' } }

  test('gives a file a new instance when its last lease is released; newcomers wait and are served in order', async () => {
    const { lease, registry } = createHarness()
    // One at a time: those who are served together finish in any order.
    const one = { ...raw, concurrent_tasks: 1 }
    const old = await lease('old', one)
    await old.run('CREATE TABLE t AS SELECT 1 AS x')
    await until(() => (registry.snapshot().databases[0]?.ageMs ?? 0) > 25)
    const order: number[] = []
    const newcomers = Array.from({ length: 6 }, async (_, nth) => {
      await using mine = await lease(`newcomer ${nth}`, one)
      order.push(nth)
      return await mine.rows('FROM t')
    })
    await until(() => registry.snapshot().databases[0]?.opening.length === 6)
    // Its holder goes on with what it has.
    expect(await old.rows('FROM t')).toEqual([{ x: 1 }])
    expect(registry.snapshot()).toMatchObject({
      opens: 1,
      ending: [{ state: 'ending', generation: 1, leases: [{ holder: 'old' }] }],
    })
    await old.release()
    expect(await Promise.all(newcomers)).toEqual(Array.from({ length: 6 }, () => [{ x: 1 }]))
    expect(order).toEqual([0, 1, 2, 3, 4, 5])
    expect(registry.snapshot()).toMatchObject({ opens: 2, databases: [{ generation: 2, opens: 2 }], ending: [] })
  })

  test('does not let a holder wait for itself for ever: who waits is told by whom', async () => {
    const { lease, registry, config } = createHarness()
    await using _own = await lease('outer', raw)
    await until(() => (registry.snapshot().databases[0]?.ageMs ?? 0) > 25)
    await expect(registry.lease(config(raw), { holder: 'inner', timeoutMs: 30 })).rejects.toMatchObject({
      code: 'LEASE_TIMEOUT',
      message: expect.stringMatching(/opened anew .* still held by outer/),
    })
    const controller = new AbortController()
    const waiting = registry.lease(config(raw), { holder: 'inner', signal: controller.signal })
    await until(() => registry.snapshot().databases[0]?.opening.length === 1)
    controller.abort(new Error('given up'))
    await expect(waiting).rejects.toThrow('given up')
  })

  test('leaves no log behind and loses nothing when it replaces an instance that is in use all the time', async () => {
    const { lease, registry, folder } = createHarness()
    const first = await lease('a', raw)
    await first.run('CREATE TABLE t (x INTEGER)')
    await first.release()
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let nth = 0; nth < 25; nth += 1) {
        await using one = await lease(`writer ${writer}`, raw)
        await one.transaction((tx) => tx.run('INSERT INTO t VALUES ($1)', [writer * 100 + nth]))
      }
    })
    await Promise.all(writers)
    await until(() => (registry.snapshot().databases[0]?.ageMs ?? 25) >= 25)
    {
      await using last = await lease('b', raw)
      expect(await last.rows('SELECT count(*) AS n, count(DISTINCT x) AS d FROM t')).toEqual([{ n: 100, d: 100 }])
    }
    expect(registry.snapshot().opens).toBeGreaterThan(1)
    expect(existsSync(join(folder, 'test.duckdb'))).toBe(true)
  })

  test('never replaces a database in memory: its data would go with it', async () => {
    const { lease, registry } = createHarness()
    const memory = { ...raw, database: ':memory:' }
    const first = await lease('a', memory)
    await first.run('CREATE TABLE t AS SELECT 1 AS x')
    await first.release()
    await until(() => (registry.snapshot().databases[0]?.ageMs ?? 0) > 25)
    await using second = await lease('b', memory)
    expect(await second.rows('FROM t')).toEqual([{ x: 1 }])
  })

  test('opens another instance beside one that a token opens, while its holders finish', async () => {
    const service = createService()
    const { lease, registry } = service.setUp({ max_age: '20ms' })
    const old = await lease('old')
    await old.run('CREATE TABLE mine AS SELECT 1 AS x')
    await until(() => (registry.snapshot().databases[0]?.ageMs ?? 0) > 25)
    await using fresh = await lease('fresh')
    expect(await old.rows('FROM mine')).toEqual([{ x: 1 }])
    await expect(fresh.rows('FROM mine')).rejects.toThrow('Catalog Error')
    expect(registry.snapshot()).toMatchObject({
      databases: [{ generation: 2, leases: [{ holder: 'fresh' }] }],
      ending: [{ leases: [{ holder: 'old' }] }],
    })
    expect(service.asked()).toBe(1)
    await old.release()
    await until(() => registry.snapshot().ending.length === 0)
    expect(service.open()).toBe(1)
  })
})

describe('strategy', () => {
  test('single gives one lease at a time, and says so to whoever waits too long', async () => {
    const { lease, registry, config } = createHarness()
    const raw = { pool: 'single', concurrent_tasks: 8 }
    await using _held = await lease('first', raw)
    await expect(registry.lease(config(raw), { holder: 'second', timeoutMs: 20 })).rejects.toMatchObject({
      code: 'LEASE_TIMEOUT',
      message: expect.stringContaining('1 of 1 are held by first'),
      hint: expect.stringContaining('strategy: single'),
    })
  })

  test('instance opens one for each lease, within the limit, and closes it with the lease', async () => {
    const service = createService()
    const { lease, registry } = service.setUp({ strategy: 'instance' }, { concurrent_tasks: 3 })
    const [first, second, third] = await Promise.all([lease('first'), lease('second'), lease('third')])
    expect(service.open()).toBe(3)
    const fourth = lease('fourth')
    await until(() => registry.snapshot().databases[0]?.waiting.length === 1)
    await first.run('CREATE TABLE mine AS SELECT 1 AS x')
    await expect(second.rows('FROM mine')).rejects.toThrow('Catalog Error')
    await first.release()
    expect(service.open()).toBe(2)
    await (await fourth).release()
    await second.release()
    await third.release()
    expect(service.open()).toBe(0)
    await until(() => registry.snapshot().ending.length === 0)
    expect(registry.snapshot()).toMatchObject({ opens: 4, databases: [] })
    expect(service.asked()).toBe(1)
  })

  test('instance closes those that are still held when the registry ends', async () => {
    const service = createService()
    const { lease, detach } = service.setUp({ strategy: 'instance' }, {}, { graceMs: 10 })
    const [one, two] = [await lease('a'), await lease('b')]
    const query = expect(one.rows(LONG_QUERY))
      .rejects.toThrow('shuts down')
      .then(() => Promise.all([one.release(), two.release()]))
    await detach()
    await query
    expect(service.open()).toBe(0)
  })
})

describe('writers: one', () => {
  test('lets one transaction write at a time, in order, while others read; an abort leaves the lane', async () => {
    const { lease, registry, config } = createHarness()
    const raw = { pool: { writers: 'one' } }
    const leases = await Promise.all(Array.from({ length: 6 }, (_, nth) => lease(`writer ${nth}`, raw)))
    await leases[0]!.run('CREATE TABLE t (x INTEGER)')
    expect(leases[0]!.database.capabilities.writers).toBe('one')
    let inside = 0
    let most = 0
    const order: number[] = []
    const writes = leases.map((one, nth) =>
      one.transaction(async (tx) => {
        inside += 1
        most = Math.max(most, inside)
        order.push(nth)
        await tx.run('INSERT INTO t VALUES ($1)', [nth])
        await one.stage('SELECT 1').catch(() => undefined)
        inside -= 1
      }),
    )
    const controller = new AbortController()
    await using doomed = await registry.lease(config(raw), { holder: 'doomed', signal: controller.signal })
    const given = expect(doomed.script('INSERT INTO t VALUES (99)')).rejects.toThrow('given up')
    controller.abort(new Error('given up'))
    await given
    await Promise.all(writes)
    expect(most).toBe(1)
    expect(order).toEqual([0, 1, 2, 3, 4, 5])
    expect(await leases[0]!.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 6 }])
    await leases[0]!.checkpoint()
    for (const one of leases) await one.release()
  })
})

test('timers of limits and ages keep nothing of the activity they were needed in', async () => {
  const storage = new AsyncLocalStorage<string>()
  const contexts: string[] = []
  const seen: Database = {
    ...duckdb,
    open: (config, token) => {
      contexts.push(storage.getStore() ?? 'outside')
      return duckdb.open(config, token)
    },
  }
  const { lease, registry, folder } = createHarness({ databases: { duckdb: seen } })
  const raw = { pool: { max_age: '15ms', idle: '17ms', statement_timeout: '10s', lease_timeout: '11s' } }
  const timers: string[] = []
  const original = globalThis.setTimeout
  globalThis.setTimeout = Object.assign(
    (...args: Parameters<typeof original>) => {
      if (args[1] === 17) timers.push(storage.getStore() ?? 'outside')
      return original(...args)
    },
    { __promisify__: original.__promisify__ },
  ) as typeof original
  try {
    const work = async (): Promise<void> => {
      const one = await lease('a', raw)
      await one.run('SELECT 1')
      await until(() => (registry.snapshot().databases[0]?.ageMs ?? 0) > 15)
      const next = lease('b', raw)
      await one.release()
      await (await next).release()
    }
    await storage.run('activity 1', work)
  } finally {
    globalThis.setTimeout = original
  }
  expect(contexts).toEqual(['outside', 'outside'])
  expect(new Set(timers)).toEqual(new Set(['outside']))
  await until(() => openFiles(folder).length === 0)
})

/** As a server's: nothing ends a statement but itself. */
function withoutInterrupt(onEnd: () => void): Database {
  return {
    ...duckdb,
    open: async (config, token) => {
      const opened = await duckdb.open(config, token)
      return {
        ...opened,
        capabilities: { ...opened.capabilities, interrupts: false },
        connect: async (...args) => {
          const { channel, credentials } = await opened.connect(...args)
          const query: typeof channel.query = (sql, values) => channel.query(sql, values).finally(onEnd)
          return { channel: { ...channel, query, interrupt: null }, credentials }
        },
      }
    },
  }
}

interface Service {
  /** Instances that are open now. */
  open: () => number
  /** How often the source of the token was asked. */
  asked: () => number
  setUp: (
    pool: Record<string, unknown>,
    raw?: Record<string, unknown>,
    options?: { graceMs?: number },
  ) => Pick<Harness, 'registry' | 'detach'> & { lease: (holder: string) => Promise<Lease> }
}

/** MotherDuck's service cannot run here: the double opens a database in memory, behind the registry's own code. */
function createService(): Service {
  let open = 0
  let asked = 0
  const database: Database = {
    ...motherduck,
    open: async (config) => {
      const opened = await duckdb.open(parseConnection({ type: 'duckdb' }, { root: config.root, env: {} }), null)
      open += 1
      return {
        ...opened,
        capabilities: { ...opened.capabilities, persistent: true, checkpoints: false },
        closeSync: () => {
          open -= 1
          opened.closeSync()
        },
      }
    },
  }
  const getToken = (): string => {
    asked += 1
    return 'token'
  }
  return {
    open: () => open,
    asked: () => asked,
    setUp: (pool, raw = {}, options = {}) => {
      const harness = createHarness({ ...options, databases: { motherduck: database } })
      const given = { type: 'motherduck', database: 'a', token: getToken, pool, ...raw }
      const config = parseConnection(given, { root: harness.folder, env: {} })
      return {
        registry: harness.registry,
        detach: harness.detach,
        lease: (holder) => harness.registry.lease(config, { holder }),
      }
    },
  }
}
