import { defineSearchAttributeKey, TypedSearchAttributes } from '@temporalio/common'
import { describe, expect, test } from 'vitest'
import { executionTime } from '../../src/workflows/execution-time.ts'

const STARTED = new Date('2024-05-10T03:00:07Z')
const DUE = new Date('2024-05-10T02:30:00Z')
const byHand = { startTime: STARTED, typedSearchAttributes: new TypedSearchAttributes([]) }
const bySchedule = {
  startTime: STARTED,
  typedSearchAttributes: new TypedSearchAttributes([
    { key: defineSearchAttributeKey('TemporalScheduledStartTime', 'DATETIME'), value: DUE },
  ]),
}

describe('now', () => {
  test('is the start of a build that somebody started', () => {
    expect(executionTime({}, byHand)).toBe(STARTED.getTime())
  })

  test('is the time a schedule meant, however late it came to start the build', () => {
    expect(executionTime({}, bySchedule)).toBe(DUE.getTime())
  })

  test('is what the input says, relative to either', () => {
    expect(executionTime({ executionTime: '2024-01-01' }, bySchedule)).toBe(Date.UTC(2024, 0, 1))
    expect(executionTime({ executionTime: '1 hour ago' }, bySchedule)).toBe(DUE.getTime() - 3_600_000)
    expect(executionTime({ executionTime: '1 hour ago' }, byHand)).toBe(STARTED.getTime() - 3_600_000)
  })

  test('that is no time fails the build with the code of the error', () => {
    expect(() => executionTime({ executionTime: 'soon' }, bySchedule)).toThrow(
      expect.objectContaining({ type: 'USAGE', nonRetryable: true }),
    )
  })
})
