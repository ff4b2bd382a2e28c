/** What every type of database must do; where a promise has two shapes, the title says which capability decides. */
import { describe, expect, test } from 'vitest'
import { dataCases } from './data-cases.ts'
import { processCases } from './process-cases.ts'
import { sessionCases } from './session-cases.ts'
import { openSubject, promisesOf, type Subject } from './subject.ts'
import { transactionCases } from './transaction-cases.ts'

export function testConformance(subject: Subject): void {
  describe(subject.name, () => {
    test('promises what is documented', async () => {
      const { lease } = await openSubject(subject)
      await using one = await lease()
      expect(one.database.capabilities).toEqual(promisesOf(subject))
    })
    dataCases(subject)
    transactionCases(subject)
    sessionCases(subject)
    processCases(subject)
  })
}
