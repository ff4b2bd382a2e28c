/** One writer at a time on a lake: in one process by a lane, among processes by a lock in PostgreSQL. */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createConnectionRegistry } from '../../../src/connections/registry.ts'
import { createWriterLane, type RemoteLock } from '../../../src/connections/limits/writer-lane.ts'
import { extensionDirectory } from '../../helpers/extensions.ts'
import { startPostgres, type PostgresServer } from '../../helpers/postgres.ts'
import type { LakeBuild, LakeBuildResult } from '../processes/build-in-lake.ts'
import { createHarness, LONG_QUERY, until, type Harness } from '../registry-harness.ts'

describe('a lane', () => {
  test('is one for all who name the same lake, in order of arrival; another lake has its own', async () => {
    const lanes = [createWriterLane('lake a', null), createWriterLane('lake a', null)]
    const order: number[] = []
    const leave = await lanes[0]?.enter()
    const waiting = [0, 1, 2, 3].map(async (number) => {
      const done = await lanes[number % 2]?.enter()
      order.push(number)
      done?.()
    })
    const other = await createWriterLane('lake b', null).enter()
    expect(order).toEqual([])
    leave?.()
    await Promise.all(waiting)
    expect(order).toEqual([0, 1, 2, 3])
    other()
  })

  test('is left by those who give up, also while they wait for the other processes', async () => {
    const controller = new AbortController()
    const refusing: RemoteLock = { acquire: (signal) => Promise.reject(signal?.reason ?? new Error('no server')) }
    await expect(createWriterLane('lake c', refusing).enter()).rejects.toThrow('no server')
    const leave = await createWriterLane('lake c', null).enter()
    const waiting = createWriterLane('lake c', null).enter(controller.signal)
    controller.abort(new Error('cancelled'))
    await expect(waiting).rejects.toThrow('cancelled')
    leave()
    const last = await createWriterLane('lake c', null).enter()
    last()
  })

  test('is passed on only when the other processes may write, too', async () => {
    let free: (() => void) | undefined
    const slow: RemoteLock = {
      acquire: async () => () => new Promise<void>((resolve) => (free = resolve)),
    }
    const leave = await createWriterLane('lake d', slow).enter()
    let entered = false
    const follow = async (): Promise<void> => {
      const done = await createWriterLane('lake d', null).enter()
      entered = true
      done()
    }
    const next = follow()
    leave()
    await new Promise((resolve) => setImmediate(resolve))
    expect(entered).toBe(false)
    free?.()
    await next
  })
})

describe('a lake in PostgreSQL', () => {
  let extensions = ''
  let postgres: PostgresServer
  let databases = 0

  beforeAll(async () => {
    extensions = await extensionDirectory('ducklake', 'postgres_scanner')
    postgres = await startPostgres()
  }, 240_000)

  afterAll(() => postgres?.stop())

  async function lake(): Promise<Record<string, unknown>> {
    databases += 1
    await postgres.createDatabase(`lake_${databases}`)
    return {
      type: 'ducklake',
      database: undefined,
      catalog: postgres.address(`lake_${databases}`),
      password: postgres.password,
      data_path: 'data',
      extension_directory: extensions,
      concurrent_tasks: 64,
    }
  }

  /** Another name of the same server: another instance, and another lane, as a second process would have. */
  async function twoWays(harness: Harness) {
    const raw = await lake()
    const ways = [raw, { ...raw, catalog: String(raw['catalog']).replace('127.0.0.1', 'localhost') }]
    return ways.map((one) => harness.config(one))
  }

  test('a writer who waited for another process sees what that one committed, however slow its commit was', async () => {
    const harness = createHarness()
    const [one, other] = await twoWays(harness)
    if (one === undefined || other === undefined) return
    await using first = await harness.registry.lease(one, { holder: 'first' })
    await using second = await harness.registry.lease(other, { holder: 'second' })
    expect(harness.registry.snapshot().opens).toBe(2)
    await first.run('CREATE TABLE ledger (unit INTEGER)')
    await postgres.query(
      `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
       CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON ducklake_snapshot DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW EXECUTE FUNCTION slow()`,
      `lake_${databases}`,
    )
    const entered: string[] = []
    let waiting: Promise<unknown> | undefined
    await first.transaction(async (tx) => {
      await tx.run('INSERT INTO ledger VALUES (1)')
      entered.push('first')
      waiting = second.transaction(async (late) => {
        entered.push('second')
        return late.rows('FROM ledger')
      })
      await until(() => true)
      entered.push('first is about to commit')
    })
    expect(await waiting).toEqual([{ unit: 1 }])
    expect(entered).toEqual(['first', 'first is about to commit', 'second'])
  })

  test('a writer who waits for another process can give up', async () => {
    const harness = createHarness()
    const [one, other] = await twoWays(harness)
    if (one === undefined || other === undefined) return
    const controller = new AbortController()
    await using first = await harness.registry.lease(one, { holder: 'first' })
    const second = await harness.registry.lease(other, { holder: 'second', signal: controller.signal })
    await first.transaction(async (tx) => {
      await tx.run('CREATE TABLE t AS SELECT 1 AS x')
      const waiting = second.transaction((late) => late.run('CREATE TABLE u AS SELECT 1 AS x'))
      await untilAsync(async () => (await waitersIn(`lake_${databases}`)) === 1)
      controller.abort(new Error('cancelled'))
      await expect(waiting).rejects.toThrow('cancelled')
      await second.release()
    })
    expect(await first.rows('SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()')).toEqual(
      [{ table_name: 't' }],
    )
  })

  test('a shutdown while a writer works and another waits leaves nothing open and nothing locked', async () => {
    const harness = createHarness()
    const registry = createConnectionRegistry({ graceMs: 50 })
    const owner = registry.attach('test')
    const [one, other] = await twoWays(harness)
    if (one === undefined || other === undefined) return
    const first = await registry.lease(one, { holder: 'first' })
    const second = await registry.lease(other, { holder: 'second' })
    const working = first
      .transaction((tx) => tx.rows(LONG_QUERY))
      .catch((error: unknown) => error)
      .finally(() => void first.release())
    const waiting = second
      .transaction((tx) => tx.run('CREATE TABLE t AS SELECT 1 AS x'))
      .catch((error: unknown) => error)
      .finally(() => void second.release())
    await untilAsync(async () => (await waitersIn(`lake_${databases}`)) === 1)
    await owner.detach()
    expect(await working).toBeInstanceOf(Error)
    // It may still have had its turn.
    await waiting
    await untilAsync(async () => (await connectionsTo(`lake_${databases}`)) === 0)
  })

  const [processes, builders, rounds] = process.env['MILLRACE_LAKE_STRESS'] === undefined ? [2, 8, 3] : [2, 32, 20]

  test(
    `${processes} processes with ${builders} builders each lose, double and misplace nothing`,
    async () => {
      const harness = createHarness()
      const raw = await lake()
      const config = harness.config(raw)
      {
        await using lease = await harness.registry.lease(config, { holder: 'test' })
        await lease.run('CREATE TABLE ledger (process INTEGER, builder INTEGER, round INTEGER)')
        for (const number of [0, 1, 2, 3]) await lease.run(`CREATE SCHEMA s${number}`)
      }
      const builds = Array.from({ length: processes ?? 0 }, (_, number) =>
        startBuild({
          connection: raw,
          root: harness.folder,
          process: number,
          builders: builders ?? 0,
          rounds: rounds ?? 0,
        }),
      )
      await Promise.all(builds.map((build) => build.ready))
      const results = await Promise.all(builds.map((build) => build.go()))
      process.stderr.write(`${JSON.stringify(results)}\n`)
      const each = (builders ?? 0) * (rounds ?? 0)
      expect(results.map(({ built, recorded }) => built + recorded)).toEqual(results.map(() => each))
      await using lease = await harness.registry.lease(config, { holder: 'test' })
      expect(
        await lease.rows('SELECT count(*) AS n, count(DISTINCT (process, builder, round)) AS different FROM ledger'),
      ).toEqual([{ n: each * results.length, different: each * results.length }])
      const tables = await lease.rows<{ schema_name: string; table_name: string }>(
        `SELECT schema_name, table_name FROM duckdb_tables()
         WHERE database_name = current_database() AND table_name LIKE 't\\_%' ESCAPE '\\'`,
      )
      const expected = results.flatMap((_, number) =>
        Array.from({ length: builders ?? 0 }, (_builder, builder) => `s${builder % 4}.t_${number}_${builder}`),
      )
      expect(tables.map((one) => `${one.schema_name}.${one.table_name}`).sort()).toEqual(expected.sort())
      for (const name of expected) {
        const [place = '', table = ''] = name.split('.')
        const [, number, builder] = table.split('_').map(Number)
        expect(await lease.rows(`SELECT DISTINCT * FROM ${place}.v_${number}_${builder}`)).toEqual([
          { process: number, builder, round: (rounds ?? 0) - 1, place },
        ])
        expect(await lease.rows(`SELECT count(*) AS n FROM ${name}`)).toEqual([
          { n: ((rounds ?? 0) - 1) % 3 === 0 ? 5 : 50 },
        ])
      }
    },
    60_000 * (rounds ?? 0),
  )

  async function waitersIn(database: string): Promise<number> {
    const rows = await postgres.query<{ n: number }>(
      "SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
      database,
    )
    return rows[0]?.n ?? 0
  }

  async function connectionsTo(database: string): Promise<number> {
    const rows = await postgres.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = '${database}'`,
    )
    return rows[0]?.n ?? 0
  }
})

async function untilAsync(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}

function startBuild(options: LakeBuild): { ready: Promise<void>; go(): Promise<LakeBuildResult> } {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href
  const script = fileURLToPath(new URL('../processes/build-in-lake.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', tsx, script, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let output = ''
  let isReady: (() => void) | undefined
  const ready = new Promise<void>((resolve, reject) => {
    isReady = resolve
    child.once('close', (code) => reject(new Error(`the builders ended with ${code} before they began`)))
  })
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text
    isReady?.()
  })
  const ended = new Promise<LakeBuildResult>((resolve, reject) => {
    child.once('close', (code) => {
      const [, line = ''] = output.split('\n')
      if (code === 0) resolve(JSON.parse(line) as LakeBuildResult)
      else reject(new Error(`the builders ended with ${code}: ${output}`))
    })
  })
  return {
    ready,
    go: async () => {
      child.stdin.write('go\n')
      return ended
    },
  }
}
