/** Quack servers and their clients, killed. */
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { ConnectionLost } from '../../src/connections/connection-lost.ts'
import { classifySqlError } from '../../src/connections/sql-errors.ts'
import { CommitOutcomeUnknown } from '../../src/connections/transaction.ts'
import { exitOf, firstLine, sourcePath, startScript } from '../helpers/tsx-script.ts'
import { busyQuery, connectionTo, errorOf, eventually, quackServer, TOKEN, untilBusy, wayTo } from './quack-harness.ts'
import { createHarness } from './registry-harness.ts'

const own = quackServer(TOKEN)

beforeEach(async () => {
  await own().run('CREATE OR REPLACE TABLE t AS SELECT 1 AS id, 0 AS x; CREATE OR REPLACE SEQUENCE busy')
})

describe('a client that is killed', () => {
  /** Runs a body with a `lease` in a process of its own. */
  async function client(body: string) {
    const { folder } = createHarness()
    const child = await startScript(
      folder,
      `import { parseConnection } from '${sourcePath('src/connections/config.ts')}'
      import { createConnectionRegistry } from '${sourcePath('src/connections/registry.ts')}'
      const registry = createConnectionRegistry()
      registry.attach('client')
      const config = parseConnection(${JSON.stringify(connectionTo(own()))}, { root: '${folder}', env: {} })
      const lease = await registry.lease(config, { holder: 'client' })
      const say = () => process.stdout.write('1\\n')
      ${body}`,
    )
    onTestFinished(() => void child.kill('SIGKILL'))
    return {
      said: () => firstLine(child),
      kill: async () => {
        child.kill('SIGKILL')
        await exitOf(child)
      },
    }
  }

  test('in mid-script does not stop the server: the script is committed whole', async () => {
    const { kill } = await client(
      `await lease.script(\`INSERT INTO t VALUES (2, 0); CREATE TABLE made AS ${busyQuery(150_000_000)}; INSERT INTO t VALUES (3, 0)\`)`,
    )
    await untilBusy(own())
    await kill()
    await eventually(async () => (await own().run('FROM t')).length > 1)
    expect(await own().run('SELECT id FROM t ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }])
  })

  test('in a transaction of calls commits nothing, and stands in the way until the server forgets its session', async () => {
    const { said, kill } = await client(
      `await lease.transaction(async (tx) => {
        await tx.run('UPDATE t SET x = 1')
        say()
        await new Promise(() => setInterval(() => {}, 1000))
      })`,
    )
    await said()
    await kill()
    const { lease } = createHarness()
    {
      await using one = await lease('test', connectionTo(own()))
      expect(await one.rows('SELECT x FROM t')).toEqual([{ x: 0 }])
      const error = await errorOf(one.script('UPDATE t SET x = 2'))
      expect(classifySqlError(error)).toMatchObject({ kind: 'conflict', retryable: true })
    }
    await own().restart()
    await using one = await lease('test', connectionTo(own()))
    await one.script('UPDATE t SET x = 2')
    expect(await one.rows('SELECT x FROM t')).toEqual([{ x: 2 }])
  })

  test('in mid-upload leaves the table as it was, and the next upload is not in its way', async () => {
    const { said, kill } = await client(
      "const uploaded = lease.upload('t', 'SELECT range AS id, hash(range) AS x FROM range(100_000_000)'); say(); await uploaded",
    )
    await said()
    await new Promise((resolve) => setTimeout(resolve, 500))
    await kill()
    expect(await own().run('FROM t')).toEqual([{ id: 1, x: 0 }])
    const { lease } = createHarness()
    await using one = await lease('test', connectionTo(own()))
    await one.upload('t', 'SELECT range AS id FROM range(10)')
    expect(await one.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 10 }])
    expect(await own().run("FROM duckdb_tables() WHERE table_name LIKE 'millrace%'")).toEqual([])
  })
})

describe('a server that is killed', () => {
  test('in mid-statement ends it as a lost connection, in mid-script leaves the outcome open, and serves again when it is back', async () => {
    const harness = createHarness()
    const leaseIt = () => harness.lease('test', connectionTo(own()))
    const [reader, writer, caller, idle] = await Promise.all([leaseIt(), leaseIt(), leaseIt(), leaseIt()])
    const reading = errorOf(reader.rows(busyQuery(200_000_000_000)))
    const writing = errorOf(writer.script(`INSERT INTO t VALUES (2, 0); ${busyQuery(200_000_000_000)}`))
    await untilBusy(own(), 2)
    const calling = errorOf(
      caller.transaction(async (tx) => {
        await tx.run('INSERT INTO t VALUES (3, 0)')
        await own().kill()
      }),
    )
    expect(await reading).toBeInstanceOf(ConnectionLost)
    const unknown = await writing
    expect(unknown).toBeInstanceOf(CommitOutcomeUnknown)
    expect(classifySqlError(unknown)).toMatchObject({ kind: 'connection', retryable: true })
    expect(await calling).toBeInstanceOf(CommitOutcomeUnknown)
    const startedMs = performance.now()
    await Promise.all([reader, writer, caller, idle].map((one) => one.release()))
    const error = await errorOf(leaseIt())
    expect(error).toMatchObject({ name: 'ConnectionLost', message: expect.stringContaining('cannot be reached') })
    expect(performance.now() - startedMs).toBeLessThan(3000)
    await own().restart()
    await eventually(
      async () =>
        await leaseIt().then(
          async (one) => (await one.release(), true),
          () => false,
        ),
    )
    await using again = await leaseIt()
    expect(await again.rows('FROM t')).toEqual([{ id: 1, x: 0 }])
  })
})

describe('a connection that is cut before the server’s answer arrives', () => {
  test('leaves the outcome open, and what was asked for was asked for once', async () => {
    const way = await wayTo(own())
    const { lease } = createHarness()
    const raw = connectionTo(own(), { uri: way.uri })
    await using one = await lease('test', raw)
    await using two = await lease('test', raw)
    const lost = way.cutAnswers()
    expect(await errorOf(one.script('INSERT INTO t VALUES (2, 0)'))).toBeInstanceOf(CommitOutcomeUnknown)
    expect(await errorOf(two.run('INSERT INTO t VALUES (3, 0)'))).toBeInstanceOf(ConnectionLost)
    expect(lost()).toBeGreaterThan(1)
    expect(await own().run('SELECT id FROM t ORDER BY id')).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }])
  })
})
