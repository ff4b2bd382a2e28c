import { statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { classifySqlError } from '../../../src/connections/sql-errors.ts'
import { createHarness } from '../registry-harness.ts'

const MB = 1_000_000

test('500 replacements of 1 MB tables, 16 at once and readers beside them, stay below 5 times the live data', async () => {
  const { lease, folder } = createHarness()
  const raw = { concurrent_tasks: 20 }
  const file = join(folder, 'test.duckdb')
  const size = () =>
    [file, `${file}.wal`].reduce((sum, path) => sum + (statSync(path, { throwIfNoEntry: false })?.size ?? 0), 0)
  await using setup = await lease('setup', raw)
  for (let n = 0; n < 20; n++) await setup.run(`CREATE TABLE t${n} AS SELECT hash(range) AS x FROM range(125000)`)
  await setup.checkpoint()
  const live = size()
  expect(live).toBeGreaterThan(19 * MB)

  let next = 0
  let largest = 0
  let reads = 0
  const writing = new AbortController()
  const writer = async () => {
    while (next < 500) {
      const n = next++
      await using one = await lease(`writer ${n}`, raw)
      for (;;) {
        try {
          await one.transaction((tx) =>
            tx.run(`CREATE OR REPLACE TABLE t${n % 20} AS SELECT hash(range + ${n}) AS x FROM range(125000)`),
          )
          break
        } catch (error) {
          // Two writers of one name, 20 replacements apart.
          if (classifySqlError(error).kind !== 'conflict') throw error
        }
      }
      largest = Math.max(largest, size())
    }
  }
  const reader = async () => {
    await using one = await lease('reader', raw)
    while (!writing.signal.aborted) {
      const [row] = await one.rows<{ n: number }>(`SELECT count(*) AS n FROM t${reads % 20}`)
      expect(row?.n).toBe(125_000)
      reads++
    }
  }
  const readers = [reader(), reader()]
  await Promise.all(Array.from({ length: 16 }, writer))
  writing.abort()
  await Promise.all(readers)
  expect(reads).toBeGreaterThan(10)
  expect(largest / MB).toBeLessThan((5 * live) / MB)
})

test('a small build never meets the gate', async () => {
  const { lease } = createHarness()
  await Promise.all(
    Array.from({ length: 50 }, async (_, n) => {
      await using one = await lease(`w${n}`)
      await one.transaction((tx) => tx.run(`CREATE TABLE t${n} AS SELECT range AS x FROM range(10)`))
    }),
  )
  await using one = await lease()
  expect(await one.rows('SELECT count(*) AS n FROM duckdb_tables()')).toEqual([{ n: 50 }])
})

test('a checkpoint asked for drains running transactions, holds newcomers and empties the log', async () => {
  const { lease, folder } = createHarness()
  await using running = await lease('running')
  await using newcomer = await lease('newcomer')
  await using asker = await lease('asker')
  await asker.run('CREATE TABLE t (x INTEGER)')
  const order: string[] = []
  let finish: () => void = () => undefined
  const mayFinish = new Promise<void>((resolve) => (finish = resolve))
  let began: () => void = () => undefined
  const hasBegun = new Promise<void>((resolve) => (began = resolve))
  const first = running.transaction(async (tx) => {
    await tx.run('INSERT INTO t VALUES (1)')
    began()
    await mayFinish
    order.push('running ends')
  })
  await hasBegun
  const checkpoint = asker.checkpoint().then(() => order.push('checkpoint'))
  const second = newcomer.transaction(async (tx) => {
    order.push('newcomer begins')
    await tx.run('INSERT INTO t VALUES (2)')
  })
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect(order).toEqual([])
  finish()
  await Promise.all([first, checkpoint, second])
  expect(order[0]).toBe('running ends')
  expect([...order].sort()).toEqual(['checkpoint', 'newcomer begins', 'running ends'])
  await asker.checkpoint()
  expect(statSync(join(folder, 'test.duckdb.wal'), { throwIfNoEntry: false })?.size ?? 0).toBe(0)
})

test('a transaction that does not end holds newcomers for five seconds at most', async () => {
  const { lease } = createHarness()
  await using stubborn = await lease('stubborn')
  await using newcomer = await lease('newcomer')
  await using asker = await lease('asker')
  await asker.run('CREATE TABLE t (x INTEGER)')
  await stubborn.transaction(async (tx) => {
    await tx.run('INSERT INTO t VALUES (1)')
    const startedMs = performance.now()
    const checkpoint = asker.checkpoint()
    await newcomer.transaction((other) => other.run('INSERT INTO t VALUES (2)'))
    expect(performance.now() - startedMs).toBeLessThan(7000)
    await checkpoint
  })
  expect(await asker.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 2 }])
})

test('who waits at the closed gate can give up', async () => {
  const { lease, registry, config } = createHarness()
  await using stubborn = await lease('stubborn')
  await using asker = await lease('asker')
  const controller = new AbortController()
  await using waiting = await registry.lease(config(), { holder: 'waiting', signal: controller.signal })
  await asker.run('CREATE TABLE t (x INTEGER)')
  let checkpoint: Promise<void> = Promise.resolve()
  await stubborn.transaction(async (tx) => {
    await tx.run('INSERT INTO t VALUES (1)')
    checkpoint = asker.checkpoint()
    const reason = new Error('given up')
    const refused = expect(waiting.transaction(async () => 1)).rejects.toBe(reason)
    controller.abort(reason)
    await refused
  })
  await checkpoint
})
