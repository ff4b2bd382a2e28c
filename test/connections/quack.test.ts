/** Leases on a real Quack server in a process of its own. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { Lease } from '../../src/connections/lease.ts'
import { classifySqlError } from '../../src/connections/sql-errors.ts'
import { busyQuery, connectionTo, errorOf, quackServer, TOKEN, untilBusy } from './quack-harness.ts'
import { createHarness, until, type Harness } from './registry-harness.ts'

const server = quackServer(TOKEN)

describe('a lease on a Quack server', () => {
  let lease: (holder?: string, more?: Record<string, unknown>) => Promise<Lease>
  let harness: Harness

  beforeEach(async () => {
    harness = createHarness()
    lease = (holder = 'test', more = {}) => harness.lease(holder, connectionTo(server(), more))
    await server().run('DROP TABLE IF EXISTS t; CREATE TABLE t (id INTEGER PRIMARY KEY, x INTEGER)')
  })

  test('has a session of its own, in the server’s database, and promises what a server can', async () => {
    await using one = await lease()
    await using two = await lease()
    expect(one.database).toMatchObject({ path: null, catalog: 's', capabilities: { transactions: 'script' } })
    await one.run("SET TimeZone = 'Asia/Tokyo'; CREATE TEMP TABLE mine AS SELECT 1 AS x")
    expect(await one.rows("SELECT current_setting('TimeZone') AS zone")).toEqual([{ zone: 'Asia/Tokyo' }])
    expect(await two.rows("SELECT current_setting('TimeZone') AS zone")).toEqual([{ zone: 'UTC' }])
    await expect(two.rows('FROM mine')).rejects.toThrow('Catalog Error')
  })

  test('sends values of every sort', async () => {
    await using one = await lease()
    expect(await one.rows('SELECT $1 AS a, $2 AS b, $3 AS c -- and no more', ["it's\n\0", 2, null])).toEqual([
      { a: "it's\n\0", b: 2, c: null },
    ])
    expect(await one.rows('SELECT $low < $high AS below', { low: 1, high: 2n ** 100n })).toEqual([{ below: true }])
    await one.transaction((tx) => tx.run('INSERT INTO t VALUES ($1, $2)', [1, 2]))
    expect(await one.rows('FROM t')).toEqual([{ id: 1, x: 2 }])
  })

  test('commits a script whole or not at all, and says which', async () => {
    await using one = await lease()
    await one.script('INSERT INTO t VALUES (1, 1); INSERT INTO t VALUES (2, 2)')
    await expect(one.script('INSERT INTO t VALUES (3, 3); INSERT INTO t VALUES (1, 1)')).rejects.toThrow(
      'Constraint Error',
    )
    await expect(one.script('INSERT INTO t VALUES (3, 3); SELECT nope')).rejects.toThrow('Binder Error')
    expect(await one.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 2 }])
    await using two = await lease()
    const late = two.transaction(async (tx) => {
      await tx.run('INSERT INTO t VALUES (9, 9)')
      await one.script('INSERT INTO t VALUES (9, 0)')
    })
    expect(await errorOf(late)).toMatchObject({ name: 'CommitOutcomeUnknown', isDuplicateKey: true })
    expect(await one.rows('SELECT x FROM t WHERE id = 9')).toEqual([{ x: 0 }])
  })

  test('says where in a script, or in a transaction’s first statement, an error is', async () => {
    await using one = await lease()
    const sql = 'INSERT INTO t VALUES (1, 1);\nSELECT nope\nFROM t'
    const first = 'SELECT nope\nFROM t'
    const attempts: [work: () => Promise<unknown>, line: number][] = [
      [() => one.script(sql), 2],
      [() => one.script(first), 1],
      [() => one.transaction((tx) => tx.run(first)), 1],
      [() => one.transaction((tx) => tx.rows('SELECT nope FROM t WHERE x = $1', [1])), 1],
    ]
    for (const [work, line] of attempts) {
      const { position } = classifySqlError(await errorOf(work()))
      expect(position).toMatchObject({ line, column: 8, text: expect.stringMatching(/^SELECT nope/) })
    }
  })

  test('an abort waits for the server’s statement, and reports its reason', async () => {
    const controller = new AbortController()
    const { registry, config } = harness
    await server().run('CREATE OR REPLACE SEQUENCE busy')
    await using one = await registry.lease(config(connectionTo(server())), { holder: 'a', signal: controller.signal })
    const reason = new Error('cancelled by someone')
    const running = one.run(`CREATE OR REPLACE TABLE made AS ${busyQuery(150_000_000)}`)
    await untilBusy(server())
    controller.abort(reason)
    expect(await errorOf(running)).toBe(reason)
    expect(await server().run('SELECT count(*)::INTEGER AS n FROM made')).toEqual([{ n: 1 }])
  })

  test('16 at once each have a session, and as many transactions', async () => {
    const raw = { concurrent_tasks: 16 }
    const before = await server().asked()
    const leases = await Promise.all(Array.from({ length: 16 }, (_, n) => lease(`holder ${n}`, raw)))
    expect((await server().asked()) - before).toBe(16)
    let begun = 0
    await Promise.all(
      leases.map((one, n) =>
        one.transaction(async (tx) => {
          await tx.run(`INSERT INTO t VALUES (${n}, ${n})`)
          begun += 1
          await until(() => begun === leases.length)
          expect(await tx.rows('FROM t')).toEqual([{ id: n, x: n }])
        }),
      ),
    )
    await Promise.all(leases.map((one) => one.release()))
    expect(await server().run('SELECT count(*)::INTEGER AS n, sum(x)::INTEGER AS x FROM t')).toEqual([
      { n: 16, x: 120 },
    ])
  })

  test('released in mid-transaction, it leaves nothing open on the server', async () => {
    const one = await lease()
    await one.run('BEGIN; INSERT INTO t VALUES (1, 1)')
    await one.release()
    await server().run('CHECKPOINT')
    expect(await server().run('FROM t')).toEqual([])
  })

  test('uploads a million rows of this machine in seconds, again and again', async () => {
    await using one = await lease()
    const startedMs = performance.now()
    await one.upload('made', "SELECT range AS x, 'row ' || range AS y FROM range(1_000_000)")
    expect(performance.now() - startedMs).toBeLessThan(20_000)
    expect(await one.rows('SELECT count(*) AS n, sum(x) AS x, max(y) AS y FROM made')).toEqual([
      { n: 1_000_000, x: 499_999_500_000, y: 'row 999999' },
    ])
    for (const rows of [1, 0, 7]) {
      await one.upload('made', `SELECT range AS x FROM range(${rows})`)
      expect(await server().run('SELECT count(*)::INTEGER AS n FROM made')).toEqual([{ n: rows }])
    }
    await expect(one.upload('made', "SELECT error('half way') FROM range(5)")).rejects.toThrow('half way')
    await expect(one.upload('no_such_schema.made', 'SELECT 1 AS x')).rejects.toThrow('no_such_schema')
    expect(
      await one.rows(
        "SELECT (SELECT count(*) FROM made) AS n, count(*) AS others FROM duckdb_tables() WHERE table_name LIKE 'millrace%'",
      ),
    ).toEqual([{ n: 7, others: 0 }])
  })
})

describe('the configuration of a Quack server', () => {
  test('names the database on it, its settings are the session’s, and its extensions are loaded there', async () => {
    const { lease } = createHarness()
    await server().run(
      "ATTACH IF NOT EXISTS ':memory:' AS other; CREATE OR REPLACE TABLE other.main.t AS SELECT 1 AS x",
    )
    await using one = await lease(
      'test',
      connectionTo(server(), {
        database: 'other',
        extensions: ['json'],
        connector_config: { TimeZone: 'Asia/Tokyo', http_timeout: 77, search_path: undefined },
      }),
    )
    expect(one.database.catalog).toBe('other')
    expect(
      await one.rows("SELECT x, current_setting('TimeZone') AS zone, current_setting('http_timeout') AS ms FROM t"),
    ).toEqual([{ x: 1, zone: 'Asia/Tokyo', ms: 30 }])
    await one.upload('"uploaded"', 'SELECT 7 AS x')
    expect(await server().run('FROM other.main.uploaded')).toEqual([{ x: 7 }])
  })

  test('that expects TLS of a server without it is told so', async () => {
    const { lease } = createHarness()
    const error = await errorOf(lease('test', connectionTo(server(), { disable_ssl: false })))
    expect(error).toMatchObject({ name: 'ConnectionLost', message: expect.stringMatching(/SSL .* disable_ssl: true$/) })
  })

  test.each<[Record<string, unknown>, string]>([
    [{ connector_config: { threads: 2 } }, 'connection.connector_config.threads'],
    [{ connector_config: { no_such_setting: 1 } }, 'connection.connector_config.no_such_setting'],
    [{ database: 'nowhere' }, 'connection.database'],
    [{ extensions: ['no_such_extension'] }, 'connection.extensions'],
    [{ catalogs: { side: ':memory:' } }, 'connection.catalogs'],
    [{ secrets: { web: { type: 'http', bearer_token: 'x' } } }, 'connection.secrets'],
    [{ token: undefined }, 'connection.token'],
  ])('%j is refused, saying what is wrong', async (more, key) => {
    const { lease } = createHarness()
    const error = await errorOf(lease('test', connectionTo(server(), more)))
    expect(error).toMatchObject({ code: 'CONFIG', message: expect.stringContaining(`${key}: `) })
  })
})
