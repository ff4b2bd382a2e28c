import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { WeightedStep } from '../../src/graph/critical-path.ts'
import { remainingPath } from '../../src/graph/critical-path.ts'

function step(weight: number, ...parents: number[]): WeightedStep {
  return { weight, parents }
}

test('each step has the weight of the heaviest chain from it to an end', () => {
  //          ┌─→ 1 (5) ──┐
  //  0 (1) ──┤           ├─→ 3 (2) ─→ 5 (1)
  //          └─→ 2 (1) ──┘
  //                └───────→ 4 (9)
  expect(remainingPath([step(1), step(5, 0), step(1, 0), step(2, 1, 2), step(9, 2), step(1, 3)])).toEqual([
    11, 8, 10, 3, 9, 1,
  ])
})

test('steps may come in any order and name a parent twice', () => {
  //  2 (4) ─→ 0 (1) ─→ 1 (2)
  expect(remainingPath([step(1, 2, 2), step(2, 0), step(4)])).toEqual([3, 2, 7])
  expect(remainingPath([])).toEqual([])
})

test('a chain of 100,000 steps is measured', () => {
  const chain = Array.from({ length: 100_000 }, (_, index) => step(1, ...(index === 0 ? [] : [index - 1])))
  expect(remainingPath(chain)[0]).toBe(100_000)
})

test('it agrees with the definition on any graph', () => {
  const graphs = fc.integer({ min: 1, max: 12 }).chain((size) =>
    fc.tuple(
      ...Array.from({ length: size }, (_, index) =>
        fc.record({
          weight: fc.nat(20),
          parents: index === 0 ? fc.constant<number[]>([]) : fc.uniqueArray(fc.nat(index - 1), { maxLength: 4 }),
        }),
      ),
    ),
  )
  fc.assert(
    fc.property(graphs, (steps) => {
      const longest = (index: number): number => {
        const behind = steps.flatMap((other, child) => (other.parents.includes(index) ? [longest(child)] : []))
        return (steps[index]?.weight ?? 0) + Math.max(0, ...behind)
      }
      expect(remainingPath(steps)).toEqual(steps.map((_, index) => longest(index)))
    }),
  )
})

test.each<[what: string, steps: WeightedStep[]]>([
  ['a cycle', [step(1, 1), step(1, 0)]],
  ['a step that is its own parent', [step(1, 0)]],
  ['a parent that is no step', [step(1, 7)]],
  ['a negative weight', [step(-1)]],
  ['a weight that is no number', [step(Number.NaN)]],
  ['a weight without end', [step(Infinity)]],
])('%s is refused', (_, steps) => {
  expect(() => remainingPath(steps)).toThrow(expect.objectContaining({ code: 'INTERNAL' }))
})
