/** Runs a project's unit tests, one after another, in one database in memory. */
import type { Lease } from '../connections/lease.ts'
import type { Project } from '../project/project.ts'
import type { SqlParser } from '../project/sql-parser.ts'
import type { UnitTest } from '../project/unit-tests/unit-test.ts'
import { createColumnSource } from './column-types.ts'
import { runTest, type TestResult } from './run-test.ts'

export interface TestRun {
  passed: number
  /** Those that could not run too. */
  failed: number
  tests: TestResult[]
}

/** @param lease of a database in memory. @param onResult called after each test. */
export async function runTests(
  tests: readonly UnitTest[],
  surroundings: { project: Project; parser: SqlParser; lease: Lease },
  onResult: (result: TestResult) => void = () => {},
): Promise<TestRun> {
  const columns = createColumnSource(surroundings)
  const results: TestResult[] = []
  for (const test of tests) {
    const result = await runTest(test, { ...surroundings, columns })
    onResult(result)
    results.push(result)
  }
  const passed = results.filter(({ status }) => status === 'pass').length
  return { passed, failed: results.length - passed, tests: results }
}
