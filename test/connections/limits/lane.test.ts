import { expect, test } from 'vitest'
import { createLane, laneThenGate } from '../../../src/connections/limits/lane.ts'

test('a lane lets one in at a time, in order of arrival, and newcomers do not overtake', async () => {
  const lane = createLane()
  const order: string[] = []
  const leaveFirst = await lane.enter()
  const pass = async (name: string): Promise<void> => {
    const leave = await lane.enter()
    order.push(name)
    leave()
  }
  const second = pass('second')
  leaveFirst()
  const third = pass('third')
  await Promise.all([second, third])
  expect(order).toEqual(['second', 'third'])
})

test('who gives up leaves the lane, and a second leave changes nothing', async () => {
  const lane = createLane()
  const leave = await lane.enter()
  const controller = new AbortController()
  const doomed = lane.enter(controller.signal)
  const next = lane.enter()
  const reason = new Error('given up')
  controller.abort(reason)
  await expect(doomed).rejects.toBe(reason)
  await expect(lane.enter(controller.signal)).rejects.toBe(reason)
  leave()
  leave()
  const leaveNext = await next
  let entered = false
  const follow = async (): Promise<void> => {
    const done = await lane.enter()
    entered = true
    done()
  }
  const last = follow()
  leave()
  await Promise.resolve()
  expect(entered).toBe(false)
  leaveNext()
  await last
})

test('a lane before a gate is left when the gate is given up', async () => {
  const lane = createLane()
  const reason = new Error('given up')
  const both = laneThenGate(lane, { enter: () => Promise.reject(reason) })
  await expect(both?.enter()).rejects.toBe(reason)
  const leave = await lane.enter()
  leave()
})
