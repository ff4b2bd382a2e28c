import { describe, expect, test } from 'vitest'
import { editDistance, nearest } from '../src/errors.ts'

describe('the nearest known name', () => {
  test.each([
    ['bulid', 'build'],
    ['biuld', 'build'],
    ['Build', 'build'],
    ['buid', 'build'],
    ['builds', 'build'],
    ['canel', 'cancel'],
    ['dlbiu', null],
    ['x', null],
  ])('to %s is %s', (name, expected) => {
    expect(nearest(name, ['init', 'build', 'cancel'])).toBe(expected)
  })
})

test('the distance counts what is wrong, missing, too many or swapped, up to its limit', () => {
  expect(editDistance('abc', 'abc', 5)).toBe(0)
  expect(editDistance('abc', 'abd', 5)).toBe(1)
  expect(editDistance('abc', 'ab', 5)).toBe(1)
  expect(editDistance('abc', 'bac', 5)).toBe(1)
  expect(editDistance('abcd', 'badc', 5)).toBe(2)
  expect(editDistance('abc', 'abcdefgh', 2)).toBe(2)
})
