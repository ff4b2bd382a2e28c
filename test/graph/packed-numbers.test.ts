import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { packNumbers, unpackNumbers } from '../../src/graph/packed-numbers.ts'

test('numbers that follow each other are counted', () => {
  expect(packNumbers([0, 1, 2, 3, 7])).toBe('0 1*3 4')
  expect(packNumbers([])).toBe('')
  expect(packNumbers(Array.from({ length: 10_000 }, (_, index) => index))).toBe('0 1*7pr')
})

test('any list of whole numbers comes back as it was', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -1_000_000, max: 1_000_000 })), (numbers) => {
      expect(unpackNumbers(packNumbers(numbers))).toEqual(numbers)
    }),
  )
})

test('ten thousand numbers in any order take less than 50 KB', () => {
  const order = Array.from({ length: 10_000 }, (_, index) => (index * 7919) % 10_007)
  expect(packNumbers(order).length).toBeLessThan(50_000)
})

test('what is no packed list is refused', () => {
  expect(() => unpackNumbers('1 - 2')).toThrow(expect.objectContaining({ code: 'INTERNAL' }) as Error)
})
