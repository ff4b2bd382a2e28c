/** What the registry tells of itself, to `doctor`, metrics and tests. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { classifySqlError } from '../../src/connections/sql-errors.ts'
import { answerOfThread } from './answer-of-thread.ts'
import { createHarness, until } from './registry-harness.ts'

test('a snapshot tells keys, generations, ages, holders, who waits and for what', async () => {
  const { lease, registry, folder } = createHarness({ idleMs: 5 })
  const raw = { concurrent_tasks: 1 }
  await (await lease('before', raw)).release()
  await until(() => registry.snapshot().databases.length === 0)
  const holder = await lease('sales.orders', raw)
  const waiter = lease('sales.lines', raw)
  await until(() => registry.snapshot().databases[0]?.waiting.length === 1)
  const snapshot = registry.snapshot()
  expect(snapshot).toMatchObject({
    owners: ['test'],
    opens: 2,
    ending: [],
    databases: [
      {
        key: holder.key,
        type: 'duckdb',
        database: join(folder, 'test.duckdb'),
        label: 'test.duckdb',
        state: 'open',
        generation: 2,
        opens: 2,
        leases: [{ holder: 'sales.orders' }],
        waiting: [{ holder: 'sales.lines' }],
        opening: [],
        credentials: [],
        errors: { count: 0, last: null, lastAtMs: null },
        breaker: { state: 'closed', failures: 0, retryAfterMs: null, cause: null },
      },
    ],
    keys: [{ key: holder.key, generation: 2, opens: 2 }],
  })
  expect(snapshot.databases[0]?.ageMs).toBeGreaterThanOrEqual(0)
  expect(snapshot.databases[0]?.leases[0]?.ageMs).toBeGreaterThanOrEqual(snapshot.databases[0]?.waiting[0]?.ageMs ?? 1)
  await holder.release()
  await (await waiter).release()
})

test('errors of opening are counted and kept, while the failed configuration is not', async () => {
  const { lease, registry, folder } = createHarness()
  const raw = { database: 'missing/x.duckdb' }
  for (let nth = 0; nth < 2; nth += 1) await expect(lease('a', raw)).rejects.toMatchObject({ code: 'DATABASE' })
  const [key] = registry.snapshot().keys
  expect(key).toMatchObject({ generation: 0, opens: 0, errors: { count: 2 }, breaker: { state: 'closed' } })
  expect(key?.errors.last).toContain('cannot be opened')
  expect(key?.errors.lastAtMs).toBeGreaterThan(Date.now() - 60_000)
  expect(registry.snapshot().databases).toEqual([])
  mkdirSync(join(folder, 'missing'))
  await using _opened = await lease('b', raw)
  expect(registry.snapshot().databases).toMatchObject([{ generation: 1, errors: { count: 2 } }])
})

test('an instance that breaks counts as an error, and its successor as another generation', async () => {
  const { lease, registry } = createHarness()
  const one = await lease('breaker')
  await one.run(
    "CREATE TABLE t (x INTEGER); SET GLOBAL debug_checkpoint_abort = 'before_header'; INSERT INTO t VALUES (2)",
  )
  await expect(one.run('CHECKPOINT')).rejects.toSatisfy((error) => classifySqlError(error).retryable)
  await using _fresh = await lease('newcomer')
  expect(registry.snapshot()).toMatchObject({
    databases: [{ generation: 2, errors: { count: 1, last: expect.stringContaining('Checkpoint aborted') } }],
  })
  await one.release()
})

test('who gives up is no error of the database', async () => {
  const { registry, config } = createHarness()
  const reason = new Error('given up')
  const controller = new AbortController()
  const waiting = registry.lease(config(), { holder: 'a', signal: controller.signal })
  controller.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  await until(() => registry.snapshot().databases.length === 0)
  expect(registry.snapshot().keys).toMatchObject([{ errors: { count: 0 } }])
})

test('two owners share the registry, the first that leaves closes nothing, and closing happens once', async () => {
  const { lease, registry, detach } = createHarness()
  const [one, other] = [registry.attach('worker a'), registry.attach('worker b')]
  const held = await lease('a')
  await one.detach()
  await one.detach()
  await detach()
  expect(await held.rows('SELECT 1 AS x')).toEqual([{ x: 1 }])
  expect(registry.snapshot()).toMatchObject({ owners: ['worker b'], opens: 1, databases: [{ state: 'open' }] })
  await held.release()
  // Both calls are one end.
  await Promise.all([other.detach(), other.detach()])
  expect(registry.snapshot()).toMatchObject({ owners: [], opens: 1, databases: [], ending: [] })
})

test('a worker thread gets no registry, no snapshot and no metrics, and makes none of its own', async () => {
  const answer = await answerOfThread(new URL('./processes/registry-in-thread.ts', import.meta.url))
  const refused = expect.stringContaining('main thread') as string
  expect(answer).toEqual({ registry: refused, snapshot: refused, metrics: refused, made: refused, global: 'undefined' })
})
