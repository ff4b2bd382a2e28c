import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { CommitOutcomeUnknown } from '../../src/connections/transaction.ts'
import { createHarness, LONG_QUERY, until } from './registry-harness.ts'

describe('a lease', () => {
  test('gives JSON: whole numbers as numbers while they are exact, the rest as text', async () => {
    const { lease } = createHarness()
    await using one = await lease()
    const rows = await one.rows(`SELECT count(*) AS n, 9007199254740993 AS big, 3::HUGEINT AS huge, [4::BIGINT] AS list,
      {'a': 5::UBIGINT} AS struct, 1.50::DECIMAL(9, 2) AS amount, DATE '2024-01-02' AS day, true AS yes, NULL AS nothing,
      TIMESTAMP '2024-01-02 03:04:05' AS at, TIMESTAMPTZ '2024-01-02 03:04:05+02' AS at_zone`)
    expect(rows).toEqual([
      {
        n: 1,
        big: '9007199254740993',
        huge: 3,
        list: [4],
        struct: { a: 5 },
        amount: '1.50',
        day: '2024-01-02',
        yes: true,
        nothing: null,
        at: '2024-01-02 03:04:05',
        at_zone: '2024-01-02 01:04:05+00',
      },
    ])
  })

  test('binds values by place and by name', async () => {
    const { lease } = createHarness()
    await using one = await lease()
    expect(await one.rows('SELECT $1 AS a, $2 AS b', ['x', 2])).toEqual([{ a: 'x', b: 2 }])
    expect(await one.rows('SELECT $a AS a', { a: null })).toEqual([{ a: null }])
  })

  test('works in UTC unless connector_config says otherwise, and reads paths from the project', async () => {
    const { lease, folder } = createHarness()
    mkdirSync(join(folder, 'data'))
    writeFileSync(join(folder, 'data/a.csv'), 'x\n1\n')
    await using one = await lease()
    expect(await one.rows("SELECT current_setting('TimeZone') AS zone")).toEqual([{ zone: 'UTC' }])
    expect(await one.rows("FROM 'data/a.csv'")).toEqual([{ x: 1 }])
    await using other = await lease('b', { database: 'b.duckdb', connector_config: { TimeZone: 'Asia/Tokyo' } })
    expect(await other.rows("SELECT current_setting('TimeZone') AS zone")).toEqual([{ zone: 'Asia/Tokyo' }])
  })

  test('applies settings of every sort: at opening, on the instance, on each session', async () => {
    const { lease } = createHarness()
    const connector_config = {
      memory_limit: '300MB',
      default_null_order: 'nulls_first',
      search_path: 'main',
      TimeZone: 'UTC',
    }
    await using one = await lease('a', { connector_config })
    expect(
      await one.rows(
        "SELECT current_setting('memory_limit') AS memory, current_setting('default_null_order') AS nulls, current_setting('search_path') AS path",
      ),
    ).toEqual([{ memory: '286.1 MiB', nulls: 'NULLS_FIRST', path: 'main' }])
  })

  test.each([
    [{ memroy_limit: '1GB' }, /memroy_limit.*unrecognized/],
    [{ memory_limit: 'much' }, /refuses one of memory_limit = much/],
  ])('a setting that DuckDB refuses is an error of the configuration: %j', async (connector_config, message) => {
    const { lease, folder } = createHarness()
    await expect(lease('a', { connector_config })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(message),
    })
    expect(readdirSync(folder).filter((name) => name.endsWith('.wal'))).toEqual([])
  })

  test('leaves nothing to the next: settings and temporary tables go with it', async () => {
    const { lease } = createHarness()
    const first = await lease('a', { concurrent_tasks: 1 })
    await first.run("SET TimeZone = 'Asia/Tokyo'; CREATE TEMP TABLE staged AS SELECT 1 AS x")
    await first.release()
    await using second = await lease('b', { concurrent_tasks: 1 })
    expect(await second.rows("SELECT current_setting('TimeZone') AS zone")).toEqual([{ zone: 'UTC' }])
    await expect(second.rows('FROM staged')).rejects.toThrow('Catalog Error')
  })

  test('released twice throws, used afterwards throws, and disposing of it afterwards does not', async () => {
    const { lease } = createHarness()
    const one = await lease()
    await one.release()
    await expect(one.release()).rejects.toThrow('released twice')
    await expect(one.rows('SELECT 1')).rejects.toThrow('after its release')
    await expect(one.transaction(async () => 1)).rejects.toThrow('after its release')
    await one[Symbol.asyncDispose]()
  })

  test('release in mid-transaction rolls back', async () => {
    const { lease } = createHarness()
    const one = await lease()
    await one.run('CREATE TABLE t (x INTEGER); BEGIN; INSERT INTO t VALUES (1)')
    await one.release()
    await using two = await lease()
    expect(await two.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 0 }])
  })

  test('larger than memory_limit spills into a folder of its own below temp_directory', async () => {
    const { lease, folder } = createHarness()
    const connector_config = { memory_limit: '90MB', threads: 1 }
    const spill = async (holder: string, database: string) => {
      await using one = await lease(holder, { database, connector_config })
      const sorted = `CREATE TABLE big AS SELECT range AS x, hash(range) AS h, repeat('x', 20) AS s FROM range(2000000) ORDER BY h`
      await one.run(sorted)
      const used = readdirSync(join(folder, '.millrace/tmp'))
      const [row] = await one.rows('SELECT count(*) AS n, sum(x) AS total FROM big')
      return { row, used }
    }
    // In memory, so that nothing but the folder can hold what is too large.
    const results = await Promise.all([spill('a', ':memory:'), spill('b', 'b.duckdb')])
    for (const { row } of results) expect(row).toEqual({ n: 2_000_000, total: 1_999_999_000_000 })
    expect(results.flatMap(({ used }) => used).length).toBeGreaterThan(0)
  })
})

describe('an abort', () => {
  test('interrupts a long query within a second and leaves the lease fit for its release only', async () => {
    const { registry, config } = createHarness()
    const controller = new AbortController()
    const lease = await registry.lease(config(), { holder: 'a', signal: controller.signal })
    const reason = new Error('cancelled by someone')
    const running = expect(lease.rows(LONG_QUERY)).rejects.toBe(reason)
    const startedMs = performance.now()
    setTimeout(() => controller.abort(reason), 50)
    await running
    expect(performance.now() - startedMs).toBeLessThan(1000)
    await expect(lease.rows('SELECT 1')).rejects.toBe(reason)
    await lease.release()
  })

  test('interrupts statements that have not even started', async () => {
    const { registry, config } = createHarness()
    const controller = new AbortController()
    const signal = controller.signal
    const leases = await Promise.all(
      Array.from({ length: 8 }, (_, n) => registry.lease(config(), { holder: `h${n}`, signal })),
    )
    const reason = new Error('all of them')
    // More than libuv has threads: the last of them wait in its queue, where an interrupt is lost.
    const running = leases.map((lease) => expect(lease.rows(LONG_QUERY)).rejects.toBe(reason))
    controller.abort(reason)
    await Promise.all(running)
    for (const lease of leases) await lease.release()
  })

  test('in mid-transaction rolls back', async () => {
    const { registry, config, lease } = createHarness()
    const controller = new AbortController()
    await using watcher = await lease('watcher')
    await watcher.run('CREATE TABLE t (x INTEGER)')
    await using doomed = await registry.lease(config(), { holder: 'a', signal: controller.signal })
    const reason = new Error('cancelled')
    await expect(
      doomed.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES (1)')
        setTimeout(() => controller.abort(reason), 20)
        await tx.rows(LONG_QUERY)
      }),
    ).rejects.toBe(reason)
    expect(await watcher.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 0 }])
    await watcher.run('DROP TABLE t')
  })

  test('behind the last statement and before COMMIT rolls back', async () => {
    const { registry, config, lease } = createHarness()
    const controller = new AbortController()
    await using watcher = await lease('watcher')
    await watcher.run('CREATE TABLE t (x INTEGER)')
    await using doomed = await registry.lease(config(), { holder: 'a', signal: controller.signal })
    const reason = new Error('cancelled')
    await expect(
      doomed.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES (1)')
        controller.abort(reason)
      }),
    ).rejects.toBe(reason)
    expect(await watcher.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 0 }])
  })

  test('during COMMIT changes nothing: the commit is kept and reported', async () => {
    const { registry, config, lease } = createHarness()
    await using watcher = await lease('watcher')
    await watcher.run('CREATE TABLE t (x INTEGER)')
    // Every commit now takes a checkpoint of 300 ms with it.
    await watcher.run("SET GLOBAL checkpoint_threshold = '1KB'; SET GLOBAL debug_checkpoint_sleep_ms = 300")
    const controller = new AbortController()
    await using slow = await registry.lease(config(), { holder: 'a', signal: controller.signal })
    let abortedAfterMs = 0
    const committed = await slow.transaction(async (tx) => {
      await tx.run('INSERT INTO t SELECT range FROM range(1000)')
      const startedMs = performance.now()
      setTimeout(() => {
        abortedAfterMs = performance.now() - startedMs
        controller.abort(new Error('too late'))
      }, 60)
      return 'committed'
    })
    await watcher.run('SET GLOBAL debug_checkpoint_sleep_ms = 0')
    expect(committed).toBe('committed')
    expect(abortedAfterMs).toBeGreaterThan(0)
    expect(await watcher.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 1000 }])
    await expect(slow.rows('SELECT 1')).rejects.toThrow('too late')
  })
})

describe('a transaction', () => {
  test('commits what its body did and returns what it returned', async () => {
    const { lease } = createHarness()
    await using one = await lease()
    await one.run('CREATE TABLE t (x INTEGER)')
    const seen = await one.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES ($1)', [7])
      return tx.rows('FROM t')
    })
    expect(seen).toEqual([{ x: 7 }])
    await using other = await lease('b')
    expect(await other.rows('FROM t')).toEqual([{ x: 7 }])
  })

  test('rolls back what its body did before it threw', async () => {
    const { lease } = createHarness()
    await using one = await lease()
    await one.run('CREATE TABLE t (x INTEGER)')
    const audit = new Error('audit found rows')
    await expect(
      one.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES (1)')
        throw audit
      }),
    ).rejects.toBe(audit)
    expect(await one.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 0 }])
  })

  test.each([
    ['a runtime error', "SELECT error('boom')", 'boom'],
    ['a binder error', 'SELECT nope FROM t', 'Binder Error'],
  ])('is not committed after %s, even when its body swallows it', async (_, sql, message) => {
    const { lease } = createHarness()
    await using one = await lease()
    await one.run('CREATE TABLE t (x INTEGER)')
    await expect(
      one.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES (1)')
        await tx.run(sql).catch(() => undefined)
      }),
    ).rejects.toThrow(message)
    expect(await one.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 0 }])
  })

  test('waits for statements that its body did not wait for', async () => {
    const { lease } = createHarness()
    await using one = await lease()
    await one.run('CREATE TABLE t (x INTEGER)')
    await one.transaction(async (tx) => {
      void tx.run('INSERT INTO t SELECT range FROM range(100000)')
    })
    expect(await one.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 100_000 }])
  })

  test('a duplicate key at COMMIT leaves the outcome unknown and says why', async () => {
    const { lease } = createHarness()
    await using first = await lease('first')
    await using second = await lease('second')
    await first.run('CREATE TABLE ledger (unit INTEGER PRIMARY KEY)')
    const error: unknown = await second
      .transaction(async (tx) => {
        await tx.run('INSERT INTO ledger VALUES (1)')
        await first.transaction((other) => other.run('INSERT INTO ledger VALUES (1)'))
      })
      .catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(CommitOutcomeUnknown)
    expect(error).toMatchObject({
      isDuplicateKey: true,
      cause: expect.objectContaining({ message: expect.stringContaining('Failed to commit') }),
    })
    // The same lease goes on.
    expect(await second.rows('FROM ledger')).toEqual([{ unit: 1 }])
  })

  test('commits with its last statements: one that fails is what failed, and nothing is committed', async () => {
    const { lease } = createHarness()
    await using one = await lease()
    await one.run('CREATE TABLE t (x INTEGER PRIMARY KEY)')
    const result = await one.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (1)')
      await tx.commit('INSERT INTO t VALUES (2)')
      return 'committed'
    })
    expect(result).toBe('committed')
    const failing = one.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (3)')
      await tx.commit('INSERT INTO t VALUES (4); INSERT INTO t VALUES (1)')
    })
    const error: unknown = await failing.catch((caught: unknown) => caught)
    expect(error).not.toBeInstanceOf(CommitOutcomeUnknown)
    expect(error).toMatchObject({ message: expect.stringContaining('Constraint Error') })
    await using other = await lease('b')
    expect(await other.rows('FROM t ORDER BY x')).toEqual([{ x: 1 }, { x: 2 }])
    await one.run('INSERT INTO t VALUES (5)')
  })

  test('with its last statements, a duplicate key at COMMIT leaves the outcome unknown', async () => {
    const { lease } = createHarness()
    await using first = await lease('first')
    await using second = await lease('second')
    await first.run('CREATE TABLE ledger (unit INTEGER PRIMARY KEY)')
    const racing = second.transaction(async (tx) => {
      await tx.run('INSERT INTO ledger VALUES (1)')
      await first.transaction((other) => other.commit('INSERT INTO ledger VALUES (1)'))
      await tx.commit('SELECT 1')
    })
    await expect(racing).rejects.toMatchObject({ name: 'CommitOutcomeUnknown', isDuplicateKey: true })
    expect(await second.rows('FROM ledger')).toEqual([{ unit: 1 }])
  })

  test('is not committed with its last statements after one that failed, or once it is aborted', async () => {
    const { registry, config, lease } = createHarness()
    await using watcher = await lease('watcher')
    await watcher.run('CREATE TABLE t (x INTEGER)')
    const swallowing = watcher.transaction(async (tx) => {
      await tx.run("SELECT error('boom')").catch(() => undefined)
      await tx.commit('INSERT INTO t VALUES (1)')
    })
    await expect(swallowing).rejects.toThrow('boom')
    const controller = new AbortController()
    await using doomed = await registry.lease(config(), { holder: 'a', signal: controller.signal })
    const aborted = doomed.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (2)')
      controller.abort(new Error('cancelled'))
      await tx.commit('INSERT INTO t VALUES (3)')
    })
    await expect(aborted).rejects.toThrow('cancelled')
    expect(await watcher.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 0 }])
  })

  test('is of no use once it is committed', async () => {
    const { lease } = createHarness()
    await using one = await lease()
    const late = one.transaction(async (tx) => {
      await tx.commit('CREATE TABLE t (x INTEGER)')
      await tx.run('INSERT INTO t VALUES (1)')
    })
    await expect(late).rejects.toThrow('has ended')
    expect(await one.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 0 }])
  })

  test('is one at a time on a lease, and refuses statements beside it', async () => {
    const { lease } = createHarness()
    await using one = await lease()
    await one.transaction(async () => {
      await expect(one.transaction(async () => 1)).rejects.toThrow('one transaction at a time')
      await expect(one.run('SELECT 1')).rejects.toThrow('one transaction at a time')
    })
    await one.run('SELECT 1')
  })

  test('is of no use after its end', async () => {
    const { lease } = createHarness()
    await using one = await lease()
    const kept = await one.transaction(async (tx) => tx)
    await expect(kept.run('SELECT 1')).rejects.toThrow('has ended')
  })
})

describe('a script', () => {
  test('commits as one', async () => {
    const { lease } = createHarness()
    await using one = await lease()
    await one.script('CREATE TABLE a AS SELECT 1 AS x; CREATE VIEW v AS FROM a')
    expect(await one.rows('FROM v')).toEqual([{ x: 1 }])
  })

  test('rolls back as one when a statement fails, and the lease goes on', async () => {
    const { lease } = createHarness()
    await using one = await lease()
    await expect(one.script('CREATE TABLE a AS SELECT 1 AS x; CREATE VIEW v AS FROM nope')).rejects.toThrow(
      'Catalog Error',
    )
    await expect(one.rows('FROM a')).rejects.toThrow('Catalog Error')
    await one.script('CREATE TABLE a AS SELECT 2 AS x')
    expect(await one.rows('FROM a')).toEqual([{ x: 2 }])
  })

  test('a conflict in its COMMIT leaves the outcome unknown', async () => {
    const { lease, folder } = createHarness()
    await using first = await lease('first')
    await using second = await lease('second')
    await first.run('CREATE TABLE ledger (unit INTEGER PRIMARY KEY); BEGIN; INSERT INTO ledger VALUES (1)')
    // The file shows that the script has inserted; the sum gives the other transaction time to commit first.
    const script = second.script(`INSERT INTO ledger VALUES (1); COPY (SELECT 1) TO '${join(folder, 'inserted.csv')}';
      SELECT sum(hash(range)) FROM range(60000000)`)
    const failed = expect(script).rejects.toMatchObject({ name: 'CommitOutcomeUnknown', isDuplicateKey: true })
    await until(() => existsSync(join(folder, 'inserted.csv')))
    await first.run('COMMIT')
    await failed
  })

  test('is not interrupted: an abort waits for its end', async () => {
    const { registry, config, lease } = createHarness()
    const controller = new AbortController()
    await using one = await registry.lease(config(), { holder: 'a', signal: controller.signal })
    const running = one.script('CREATE TABLE a AS SELECT sum(hash(range)) AS x FROM range(20000000)')
    setTimeout(() => controller.abort(new Error('cancelled')), 10)
    await running
    await using other = await lease('b')
    expect(await other.rows('SELECT count(*) AS n FROM a')).toEqual([{ n: 1 }])
  })
})
