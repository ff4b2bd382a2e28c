import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { createActivitySlots, type SlotPermit, type SlotSupplier } from '../../src/activities/activity-slots.ts'

const OURS = ['buildModel']

function reserve(supplier: SlotSupplier): { promise: Promise<SlotPermit>; abort: () => void } {
  const controller = new AbortController()
  const promise = supplier.reserveSlot({}, controller.signal)
  promise.catch(() => undefined)
  return { promise, abort: () => controller.abort(new Error('aborted')) }
}

/** Whether it is given out without waiting for anything. */
async function isGranted({ promise }: { promise: Promise<SlotPermit> }): Promise<boolean> {
  return Promise.race([promise.then(() => true), new Promise<false>((resolve) => setImmediate(() => resolve(false)))])
}

/** One that comes from the server, and what it turns out to be. */
async function take(supplier: SlotSupplier, activityType: string): Promise<SlotPermit> {
  const permit = await reserve(supplier).promise
  supplier.markSlotUsed({ permit, slotInfo: { activityType } })
  return permit
}

test('a worker at work asks for activities up to its limit, eager ones too, and for more when one has ended', async () => {
  const supplier = createActivitySlots().supplier(2, OURS)
  const first = await take(supplier, 'buildModel')
  expect(supplier.tryReserveSlot({})).not.toBeNull()
  expect(supplier.tryReserveSlot({})).toBeNull()
  const third = reserve(supplier)
  expect(await isGranted(third)).toBe(false)
  supplier.releaseSlot({ permit: first })
  // A second time is none.
  supplier.releaseSlot({ permit: first })
  expect(await isGranted(third)).toBe(true)
  expect(await isGranted(reserve(supplier))).toBe(false)
})

test('a worker that stands by starts nothing eagerly and asks for one at a time, with a pause before each', async () => {
  const slots = createActivitySlots({ firstPauseMs: 300, longestPauseMs: 600 })
  const supplier = slots.supplier(10, OURS)
  const startedMs = performance.now()
  slots.standBy(process.pid)
  expect(supplier.tryReserveSlot({})).toBeNull()
  const [one, two] = [reserve(supplier), reserve(supplier)]
  expect(await isGranted(one)).toBe(false)
  const permit = await one.promise
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(300)
  expect(await isGranted(two)).toBe(false)

  supplier.markSlotUsed({ permit, slotInfo: { activityType: 'buildModel' } })
  slots.standBy(process.pid)
  supplier.releaseSlot({ permit })
  const againMs = performance.now()
  await two.promise
  expect(performance.now() - againMs).toBeGreaterThanOrEqual(590)
})

test('activities that need no database make it pause no longer', async () => {
  const slots = createActivitySlots({ firstPauseMs: 50 })
  const supplier = slots.supplier(10, OURS)
  slots.standBy(process.pid)
  await take(supplier, 'sendMail')
  const next = reserve(supplier)
  expect(await isGranted(next)).toBe(true)
  supplier.markSlotUsed({ permit: await next.promise, slotInfo: { activityType: 'buildModel' } })
  expect(await isGranted(reserve(supplier))).toBe(false)
})

test('a worker that gets the database is at work at once, whatever its pause', async () => {
  const slots = createActivitySlots({ firstPauseMs: 60_000, longestPauseMs: 60_000 })
  const supplier = slots.supplier(2, OURS)
  slots.standBy(process.pid)
  const waiting = [reserve(supplier), reserve(supplier)]
  expect(await isGranted(waiting[0] ?? reserve(supplier))).toBe(false)
  slots.work()
  await Promise.all(waiting.map(({ promise }) => promise))
})

test('a worker is at work when the process it stands by for has ended', async () => {
  const holder = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'inherit'] })
  onTestFinished(() => void holder.kill('SIGKILL'))
  await once(holder, 'spawn')
  const slots = createActivitySlots({ firstPauseMs: 60_000, longestPauseMs: 60_000 })
  const supplier = slots.supplier(1, OURS)
  slots.standBy(holder.pid ?? 0)
  const waiting = reserve(supplier)
  expect(await isGranted(waiting)).toBe(false)
  holder.stdin?.end()
  await once(holder, 'exit')
  await waiting.promise
})

test('a slot that Temporal no longer waits for is nobody’s, granted or not', async () => {
  const supplier = createActivitySlots().supplier(1, OURS)
  const granted = reserve(supplier)
  await granted.promise
  const waiting = reserve(supplier)
  waiting.abort()
  await expect(waiting.promise).rejects.toThrow('aborted')
  const next = reserve(supplier)
  expect(await isGranted(next)).toBe(false)
  granted.abort()
  expect(await isGranted(next)).toBe(true)
})
