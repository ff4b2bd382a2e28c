/** How much work hangs on a step: what decides which ready step goes first. Pure. */
import { MillraceError } from '../errors.ts'

/** A step of a build as the scheduling sees it; steps are named by their index. */
export interface WeightedStep {
  /** Indexes of the steps that must be done first. */
  parents: readonly number[]
  /** Expected work, in any one unit, at least 0. */
  weight: number
}

/**
 * For each step, the weight of the heaviest chain from it to an end, itself included.
 * Throws `INTERNAL` for a parent that is no step, a cycle, and a weight that is negative or not finite.
 */
export function remainingPath(steps: readonly WeightedStep[]): number[] {
  const unfinishedChildren = steps.map(() => 0)
  for (const [index, step] of steps.entries()) {
    if (!Number.isFinite(step.weight) || step.weight < 0) {
      throw new MillraceError('INTERNAL', `Expected a weight of 0 or more for step ${index}, got ${step.weight}`)
    }
    for (const parent of step.parents) {
      const children = unfinishedChildren[parent]
      if (children === undefined) {
        throw new MillraceError('INTERNAL', `Expected step ${index} to name steps as parents, got ${parent}`)
      }
      unfinishedChildren[parent] = children + 1
    }
  }

  // From the ends backwards: a step is final once all its children are.
  const heaviestBehind = steps.map(() => 0)
  const remaining = steps.map(() => 0)
  const final = [...unfinishedChildren.keys()].filter((index) => unfinishedChildren[index] === 0)
  for (const index of final) {
    const step = steps[index]
    if (step === undefined) continue
    const path = step.weight + (heaviestBehind[index] ?? 0)
    remaining[index] = path
    for (const parent of step.parents) {
      heaviestBehind[parent] = Math.max(heaviestBehind[parent] ?? 0, path)
      const left = (unfinishedChildren[parent] ?? 0) - 1
      unfinishedChildren[parent] = left
      if (left === 0) final.push(parent)
    }
  }
  if (final.length < steps.length) throw new MillraceError('INTERNAL', 'Expected steps without a cycle, got one')
  return remaining
}
