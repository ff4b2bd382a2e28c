/** Many users of few instances: what they share, what they never share, and in which order they are served. */
import { describe, expect, test } from 'vitest'
import { duckdb } from '../../src/connections/databases/duckdb.ts'
import type { Database } from '../../src/connections/databases/database.ts'
import { createHarness, LONG_QUERY, until } from './registry-harness.ts'

describe('many users', () => {
  test('1,000 leases over 64 users at once open one instance', async () => {
    const { lease, registry } = createHarness()
    let next = 0
    let most = 0
    const seen = new Set<number>()
    const user = async (): Promise<void> => {
      while (next < 1000) {
        const nth = next++
        await using one = await lease(`user ${nth}`)
        most = Math.max(most, registry.snapshot().databases[0]?.leases.length ?? 0)
        const [row] = await one.rows<{ nth: number }>('SELECT $1::INTEGER AS nth', [nth])
        seen.add(row?.nth ?? -1)
      }
    }
    await Promise.all(Array.from({ length: 64 }, user))
    expect(seen.size).toBe(1000)
    expect(registry.snapshot()).toMatchObject({ opens: 1, databases: [{ generation: 1, leases: [], waiting: [] }] })
    expect(most).toBe(8)
  })

  test('who wait for one slow database delay nobody who wants another', async () => {
    let pass: () => void = () => undefined
    const held = new Promise<void>((resolve) => (pass = resolve))
    const slow: Database = {
      ...duckdb,
      open: async (config, token) => {
        if (config.type === 'duckdb' && config.database?.endsWith('slow.duckdb') === true) await held
        return duckdb.open(config, token)
      },
    }
    const { lease, registry } = createHarness({ databases: { duckdb: slow } })
    const waiting = Array.from({ length: 50 }, (_, nth) => lease(`slow ${nth}`, { database: 'slow.duckdb' }))
    await until(() => registry.snapshot().databases[0]?.opening.length === 50)
    for (let nth = 0; nth < 20; nth += 1) {
      await using other = await lease('quick')
      expect(await other.rows('SELECT 1 AS x')).toEqual([{ x: 1 }])
    }
    expect(registry.snapshot()).toMatchObject({ opens: 1, databases: [{ state: 'opening' }, { state: 'open' }] })
    pass()
    await Promise.all(waiting.map(async (one) => (await one).release()))
    expect(registry.snapshot().opens).toBe(2)
  })

  test('200 who wait for one of 4 leases are served in the order they came; one who gives up names the holders', async () => {
    // Seen where connections are made: four are made at once, so that one may be done before an earlier one.
    const order: number[] = []
    const watched: Database = {
      ...duckdb,
      open: async (config, token) => {
        const opened = await duckdb.open(config, token)
        return {
          ...opened,
          connect: (config, auth) => {
            if (auth.activityId !== undefined) order.push(Number(auth.activityId))
            return opened.connect(config, auth)
          },
        }
      },
    }
    const { lease, registry, config } = createHarness({ databases: { duckdb: watched } })
    const raw = { concurrent_tasks: 4 }
    const holders = await Promise.all(['a', 'b', 'c', 'd'].map((name) => lease(`sales.${name}`, raw)))
    const waiters = Array.from({ length: 200 }, async (_, nth) => {
      const auth = { activityId: String(nth) }
      await using one = await registry.lease(config(raw), { holder: `waiter ${nth}`, auth })
      await one.rows('SELECT 1')
    })
    await until(() => registry.snapshot().databases[0]?.waiting.length === 200)
    const late = registry.lease(config(raw), { holder: 'late', timeoutMs: 10 })
    await expect(late).rejects.toMatchObject({
      code: 'LEASE_TIMEOUT',
      message: expect.stringMatching(/4 of 4 are held by sales\.a .*sales\.b .*sales\.c .*sales\.d /),
    })
    for (const one of holders) await one.release()
    await Promise.all(waiters)
    expect(order).toEqual(Array.from({ length: 200 }, (_, nth) => nth))
    expect(registry.snapshot().databases).toMatchObject([{ leases: [], waiting: [] }])
  })
})

describe('a connection', () => {
  test('is never used by a second holder: an open transaction, temporary objects and settings end with the first', async () => {
    const { lease } = createHarness()
    const raw = { concurrent_tasks: 1 }
    const first = await lease('first', raw)
    await first.run('CREATE TABLE t (x INTEGER)')
    await first.run(`CREATE TEMP TABLE staged AS SELECT 1 AS x; CREATE TEMP MACRO plus_one(x) AS x + 1;
      SET VARIABLE mine = 42; PREPARE mine AS SELECT 1`)
    await first.run('BEGIN; INSERT INTO t VALUES (1)')
    await first.release()
    await using second = await lease('second', raw)
    expect(await second.rows("SELECT count(*) AS n, getvariable('mine') AS mine FROM t")).toEqual([
      { n: 0, mine: null },
    ])
    for (const sql of ['FROM staged', 'SELECT plus_one(1)', 'EXECUTE mine']) {
      await expect(second.rows(sql)).rejects.toThrow()
    }
    // In no transaction of the first: this commits.
    await second.transaction((tx) => tx.run('INSERT INTO t VALUES (2)'))
    expect(await second.rows('FROM t')).toEqual([{ x: 2 }])
  })

  test('that is released in mid-query passes its slot on only when the query has ended', async () => {
    const events: string[] = []
    const watched: Database = {
      ...duckdb,
      open: async (config, token) => {
        const opened = await duckdb.open(config, token)
        return {
          ...opened,
          connect: async (...args) => {
            events.push('connect')
            const { channel, credentials } = await opened.connect(...args)
            const query: typeof channel.query = (sql, values) =>
              channel.query(sql, values).finally(() => events.push('query ended'))
            const close = async (): Promise<void> => {
              events.push('close')
              await channel.close()
            }
            return { channel: { ...channel, query, close }, credentials }
          },
        }
      },
    }
    const { lease, registry } = createHarness({ databases: { duckdb: watched } })
    const raw = { concurrent_tasks: 1 }
    const first = await lease('first', raw)
    const query = expect(first.rows(LONG_QUERY)).rejects.toThrow('the connection is closed')
    const next = lease('second', raw)
    await until(() => registry.snapshot().databases[0]?.waiting.length === 1)
    await first.release()
    await query
    await (await next).release()
    expect(events).toEqual(['connect', 'query ended', 'close', 'connect', 'close'])
  })
})
