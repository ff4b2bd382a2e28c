/** Leases beside each other, one after the other, and given up. */
import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { LONG_QUERY, until } from '../registry-harness.ts'
import { errorOf, openSubject, promisesOf, type Subject } from './subject.ts'

export function sessionCases(subject: Subject): void {
  const { checkpoints, interrupts, persistent } = promisesOf(subject)

  test('leases share nothing but the data', async () => {
    const { lease } = await openSubject(subject)
    await using one = await lease()
    await using two = await lease()
    await one.stage('CREATE TEMP TABLE mine AS SELECT 1 AS x')
    await one.run("SET TimeZone = 'Asia/Tokyo'; CREATE TABLE ours AS FROM mine")
    await expect(two.rows('FROM mine')).rejects.toThrow('Catalog Error')
    expect(await two.rows("SELECT x, current_setting('TimeZone') AS zone FROM ours")).toEqual([{ x: 1, zone: 'UTC' }])
  })

  test('a lease that is released in mid-transaction leaves nothing to the next', async () => {
    const { lease } = await openSubject(subject, { concurrent_tasks: 1 })
    const one = await lease()
    await one.run('CREATE TABLE t AS SELECT 1 AS x')
    await one.run('CREATE TEMP TABLE mine AS SELECT 1 AS x')
    await one.run('BEGIN; INSERT INTO t VALUES (2); CREATE TABLE other AS SELECT 1 AS x')
    await one.release()
    await using two = await lease()
    expect(await two.rows('FROM t')).toEqual([{ x: 1 }])
    for (const name of ['mine', 'other']) await expect(two.rows(`FROM ${name}`)).rejects.toThrow('Catalog Error')
    await two.script('DELETE FROM t; DROP TABLE t')
  })

  if (interrupts) {
    test('an abort ends a query within two seconds (interrupts: true)', async () => {
      const { lease } = await openSubject(subject)
      const controller = new AbortController()
      await using one = await lease({ signal: controller.signal })
      const reason = new Error('cancelled by someone')
      const running = errorOf(one.rows(LONG_QUERY))
      const startedMs = performance.now()
      controller.abort(reason)
      expect(await running).toBe(reason)
      expect(performance.now() - startedMs).toBeLessThan(2000)
    })
  } else {
    test('an abort waits for the query, which runs to its end (interrupts: false)', async () => {
      const { lease } = await openSubject(subject)
      const controller = new AbortController()
      await using one = await lease({ signal: controller.signal })
      const reason = new Error('cancelled by someone')
      const running = errorOf(
        one.run('CREATE TABLE t AS SELECT count(*) AS n FROM range(50_000_000) WHERE range % 7 = 3'),
      )
      setImmediate(() => controller.abort(reason))
      expect(await running).toBe(reason)
      await using two = await lease()
      expect(await two.rows('FROM t')).toEqual([{ n: 7_142_857 }])
    })
  }

  test('200 leases over a limit of 4 are all served, never more than 4 at once', async () => {
    const { lease } = await openSubject(subject, { concurrent_tasks: 4 })
    let out = 0
    let most = 0
    const use = async (number: number) => {
      await using one = await lease({ holder: `holder ${number}` })
      out += 1
      most = Math.max(most, out)
      const [row] = await one.rows<{ n: number }>('SELECT $1 AS n', [number])
      out -= 1
      return row?.n
    }
    const numbers = Array.from({ length: 200 }, (_, number) => number)
    expect(await Promise.all(numbers.map(use))).toEqual(numbers)
    expect(most).toBeLessThanOrEqual(4)
    expect(most).toBeGreaterThan(1)
  })

  test(`an idle database is ${persistent ? 'closed, and opened again with its data' : 'kept, with its data'} (persistent: ${persistent})`, async () => {
    const { lease, harness } = await openSubject(subject, {}, { idleMs: 1 })
    {
      await using one = await lease()
      await one.run('CREATE TABLE t AS SELECT 1 AS x; CREATE VIEW v AS FROM t')
    }
    if (persistent) await until(() => harness.registry.snapshot().databases.length === 0)
    else await new Promise((resolve) => setTimeout(resolve, 50))
    await using one = await lease()
    expect(await one.rows('FROM v')).toEqual([{ x: 1 }])
    expect(harness.registry.snapshot().opens).toBe(persistent ? 2 : 1)
  })

  test(`a checkpoint ${checkpoints ? 'empties the log' : 'is somebody else’s matter'} (checkpoints: ${checkpoints})`, async () => {
    const { lease } = await openSubject(subject)
    await using one = await lease()
    await one.run('CREATE TABLE t AS SELECT 1 AS x')
    const log = one.database.path === null ? null : `${one.database.path}.wal`
    expect(log !== null && existsSync(log)).toBe(checkpoints)
    await one.checkpoint()
    expect(log !== null && existsSync(log)).toBe(false)
    expect(await one.rows('FROM t')).toEqual([{ x: 1 }])
  })
}
