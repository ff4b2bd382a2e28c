import { ApplicationFailure } from '@temporalio/common'
import { MockActivityEnvironment } from '@temporalio/testing'
import { DefaultLogger } from '@temporalio/worker'
import { expect, test } from 'vitest'
import { countAttempts } from '../../../src/activities/step/count-attempts.ts'

const LOGGER = new DefaultLogger('ERROR')
const MOST = 3

/** What the attempt of an activity ends with that can be tried again. @param number as Temporal counts. */
async function failureOf(number: number, heartbeatDetails?: unknown): Promise<ApplicationFailure> {
  const environment = new MockActivityEnvironment({ attempt: number, heartbeatDetails }, { logger: LOGGER })
  const running: Promise<never> = environment.run(() =>
    countAttempts(MOST, async () => {
      throw ApplicationFailure.create({ message: 'out of reach', type: 'SQL', details: [{ code: 'SQL' }] })
    }),
  )
  const error: unknown = await running.catch((reason: unknown) => reason)
  if (!(error instanceof ApplicationFailure)) throw error
  return error
}

test('what the last attempt fails with is final, and says the same', async () => {
  expect((await failureOf(MOST - 1)).nonRetryable).toBe(false)
  expect(await failureOf(MOST)).toMatchObject({
    nonRetryable: true,
    message: 'out of reach',
    type: 'SQL',
    details: [{ code: 'SQL' }],
  })
})

test('attempts that were given back to another worker do not count', async () => {
  expect((await failureOf(30 + MOST - 1, { phase: 'planning', givenBack: 30 })).nonRetryable).toBe(false)
  expect((await failureOf(30 + MOST, { phase: 'planning', givenBack: 30 })).nonRetryable).toBe(true)
})

test('an activity whose workers die is not tried for ever', async () => {
  expect(await failureOf(MOST + 1)).toMatchObject({ nonRetryable: true, message: expect.stringContaining('given up') })
})

test('what an attempt returns is returned', async () => {
  const environment = new MockActivityEnvironment({ attempt: 1 }, { logger: LOGGER })
  const running: Promise<number> = environment.run(() => countAttempts(MOST, async () => 7))
  expect(await running).toBe(7)
})
