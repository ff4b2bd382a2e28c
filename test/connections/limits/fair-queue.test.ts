import { expect, test } from 'vitest'
import { createFairQueue } from '../../../src/connections/limits/fair-queue.ts'

test('200 waiters on a limit of 4 are served in order of arrival', async () => {
  const queue = createFairQueue(4, 'db')
  const served: number[] = []
  let most = 0
  const work = Array.from({ length: 200 }, async (_, index) => {
    const slot = await queue.acquire({ holder: `h${index}`, timeoutMs: 10_000 })
    served.push(index)
    most = Math.max(most, queue.holders().length)
    await new Promise((resolve) => setImmediate(resolve))
    slot.release()
  })
  await Promise.all(work)
  expect(served).toEqual(Array.from({ length: 200 }, (_, index) => index))
  expect(most).toBe(4)
  expect(queue.holders()).toEqual([])
  expect(queue.waiting()).toEqual([])
})

test('a newcomer does not overtake a waiter that was just granted a slot', async () => {
  const queue = createFairQueue(1, 'db')
  const first = await queue.acquire({ holder: 'first', timeoutMs: 1000 })
  const order: string[] = []
  const pass = async (holder: string) => {
    const slot = await queue.acquire({ holder, timeoutMs: 1000 })
    order.push(holder)
    slot.release()
  }
  const second = pass('second')
  first.release()
  const third = pass('third')
  await Promise.all([second, third])
  expect(order).toEqual(['second', 'third'])
})

test('a timeout names who holds the slots', async () => {
  const queue = createFairQueue(2, '/data/w.duckdb')
  const slots = [
    await queue.acquire({ holder: 'sales.orders', timeoutMs: 1000 }),
    await queue.acquire({ holder: 'sales.lines', timeoutMs: 1000 }),
  ]
  await expect(queue.acquire({ holder: 'late', timeoutMs: 30 })).rejects.toMatchObject({
    code: 'LEASE_TIMEOUT',
    message: expect.stringMatching(/w\.duckdb .* 2 of 2 are held by sales\.orders .*sales\.lines/),
  })
  expect(queue.waiting()).toEqual([])
  for (const slot of slots) slot.release()
})

test('an abort while waiting rejects with its reason and leaves the queue', async () => {
  const queue = createFairQueue(1, 'db')
  const slot = await queue.acquire({ holder: 'a', timeoutMs: 1000 })
  const controller = new AbortController()
  const waiting = queue.acquire({ holder: 'b', timeoutMs: 10_000, signal: controller.signal })
  const reason = new Error('cancelled by someone')
  controller.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  expect(queue.waiting()).toEqual([])
  slot.release()
  expect(queue.holders()).toEqual([])
})

test('who waits is told about every second by whom the slots are held', async () => {
  const queue = createFairQueue(1, 'db')
  const slot = await queue.acquire({ holder: 'sales.orders', timeoutMs: 1000 })
  const message = await new Promise<string>((resolve) => {
    void queue.acquire({ holder: 'b', timeoutMs: 10_000, onWaiting: resolve }).then((granted) => granted.release())
  })
  expect(message).toBe('waiting for db, in use by sales.orders')
  slot.release()
})

test('a slot released twice throws', async () => {
  const queue = createFairQueue(1, 'db')
  const slot = await queue.acquire({ holder: 'a', timeoutMs: 1000 })
  slot.release()
  expect(() => slot.release()).toThrow('released twice')
})
