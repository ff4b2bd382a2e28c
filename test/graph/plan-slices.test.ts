import { expect, test } from 'vitest'
import { SLICE_BYTES, toSlices, unpackSteps } from '../../src/graph/plan-slices.ts'
import { idleStep } from '../helpers/idle-activities.ts'

const KIB_256 = 256 * 1024

function bytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value))
}

test('ten thousand steps with long names of any script come in slices that fit into a payload, and are the same afterwards', () => {
  const steps = Array.from({ length: 10_000 }, (_, index) =>
    idleStep(`схема_${index % 50}.${'модель_'.repeat(5)}${index}`, index < 3 ? [] : [index - 3, index - 1]),
  )
  const slices = toSlices(steps)
  expect(slices.length).toBeGreaterThan(10)
  for (const slice of slices) expect(bytes(slice)).toBeLessThan(SLICE_BYTES + slice.length + 2)
  expect(SLICE_BYTES).toBeLessThan(KIB_256)
  expect(slices.flatMap(unpackSteps)).toEqual(steps)
})

test('a step that waits for thousands of others stays small', () => {
  const parents = Array.from({ length: 9_999 }, (_, index) => index)
  const [slice] = toSlices([idleStep('s.all', parents)])
  expect(bytes(slice)).toBeLessThan(500)
  expect(unpackSteps(slice ?? [])[0]?.parents).toEqual(parents)
})

test('no steps are one empty slice', () => {
  expect(toSlices([])).toEqual([[]])
})
