/** A plan's steps in slices, each of which fits into a payload; and back. Pure. */
import type { BuildStep, PackedStep } from '../payloads.ts'
import { packNumbers, unpackNumbers } from './packed-numbers.ts'

/** Payloads should stay below 256 KiB; the first slice comes with the rest of the plan. */
export const SLICE_BYTES = 150_000

/** At least one slice, of no steps if there are none. */
export function toSlices(steps: readonly BuildStep[]): PackedStep[][] {
  const encoder = new TextEncoder()
  const slices: PackedStep[][] = [[]]
  let bytes = 0
  for (const step of steps) {
    const packed = { ...step, parents: packNumbers(step.parents) }
    const size = encoder.encode(JSON.stringify(packed)).length + 1
    if (bytes > 0 && bytes + size > SLICE_BYTES) {
      slices.push([])
      bytes = 0
    }
    slices.at(-1)?.push(packed)
    bytes += size
  }
  return slices
}

export function unpackSteps(slice: readonly PackedStep[]): BuildStep[] {
  return slice.map((step) => ({ ...step, parents: unpackNumbers(step.parents) }))
}
