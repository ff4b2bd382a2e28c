/** Runs one unit test: its inputs become views, the model's query runs on them, what comes is compared with what was expected. */
import type { Lease } from '../connections/lease.ts'
import { MillraceError } from '../errors.ts'
import type { Project } from '../project/project.ts'
import { renderQuery } from '../project/render-model.ts'
import type { SqlParser } from '../project/sql-parser.ts'
import type { TestOutput, UnitTest } from '../project/unit-tests/unit-test.ts'
import { commonTableQuery, commonTables, isOrdered } from '../sql/common-tables.ts'
import { freezeTime } from '../sql/freeze-time.ts'
import { quoteIdentifier, quoteRelation } from '../sql/identifiers.ts'
import { compareRows, type RowDifferences } from './compare-rows.ts'
import { emptyQuery, type ColumnSource } from './column-types.ts'
import { expectedRows, readActual } from './output-rows.ts'
import { inputQuery } from './row-query.ts'
import { inputTable, testDefinition } from './test-definition.ts'

export interface OutputDifferences extends RowDifferences {
  /** Name of the common table expression; null for the query itself. */
  cte: string | null
  /** Of what was expected. */
  line: number
}

export interface TestResult {
  name: string
  model: string
  file: string
  line: number
  /** `error`: it could not run. */
  status: 'pass' | 'fail' | 'error'
  durationMs: number
  differences: OutputDifferences[]
  error: { code: string; message: string; hint: string | null } | null
}

export interface TestSurroundings {
  project: Project
  parser: SqlParser
  /** Of a database in memory. */
  lease: Lease
  columns: ColumnSource
}

let count = 0

/** Never throws for what a test or a model does wrong: the result says it. */
export async function runTest(test: UnitTest, surroundings: TestSurroundings): Promise<TestResult> {
  const { name, model, file, line } = test
  const started = performance.now()
  const result = { name, model, file, line }
  try {
    const differences = await compareOutputs(test, surroundings)
    const status = differences.length === 0 ? 'pass' : 'fail'
    return { ...result, status, durationMs: Math.round(performance.now() - started), differences, error: null }
  } catch (error) {
    const known = error instanceof MillraceError
    const failure = {
      code: known ? error.code : 'SQL',
      message: error instanceof Error ? error.message : String(error),
      hint: known ? error.hint : null,
    }
    const durationMs = Math.round(performance.now() - started)
    return { ...result, status: 'error', durationMs, differences: [], error: failure }
  }
}

async function compareOutputs(test: UnitTest, surroundings: TestSurroundings): Promise<OutputDifferences[]> {
  const differences: OutputDifferences[] = []
  await withInputs(test, surroundings, async (query) => {
    const { lease } = surroundings
    const check = async (output: TestOutput, cte: string | null, sql: string, ordered: boolean): Promise<void> => {
      const actual = await readActual(sql, lease)
      const { columns, expected, rows } = await expectedRows(output, actual, { lease, name: cte ?? test.model })
      const found = compareRows({ columns, expected, actual: rows, ordered })
      if (found !== null) differences.push({ cte, line: output.line, ...found })
    }
    const tables = commonTables(query)
    for (const [name, output] of Object.entries(test.ctes)) {
      const table = tables.find((one) => one.name.toLowerCase() === name)
      if (table === undefined)
        throw unknownCte(
          name,
          test.model,
          tables.map((one) => one.name),
        )
      await check(output, name, commonTableQuery(query, table.name), isOrdered(table.query))
    }
    if (test.query !== null) await check(test.query, null, query, isOrdered(query))
  })
  return differences
}

function unknownCte(name: string, model: string, known: readonly string[]): MillraceError {
  const names = known.length === 0 ? 'it has none' : `it has ${known.join(', ')}`
  return new MillraceError('TEST', `expected a common table expression of '${model}' (${names}); got '${name}'`)
}

/** Calls `work` with the model's query, which reads the test's inputs; they are gone afterwards. */
export async function withInputs<T>(
  test: UnitTest,
  { project, parser, lease, columns }: TestSurroundings,
  work: (query: string) => Promise<T>,
): Promise<T> {
  count += 1
  const schema = test.schema ?? `millrace_test_${count}`
  const definition = testDefinition(project, test, schema)
  const views: string[] = []
  for (const [name, { source, columns: given }] of Object.entries(test.inputs)) {
    const query = await inputQuery(source, { lease, known: await columns.of(name), given, name })
    views.push(`CREATE VIEW ${quoteRelation(inputTable(name, schema))} AS ${frozen(query, test)}`)
  }
  const { model } = definition
  if (model.self_referencing && !(model.name in test.inputs)) {
    const own = await columns.of(model.name)
    if (own === null)
      throw new MillraceError('TEST', `expected rows of '${model.name}', which reads itself and declares no columns`)
    views.push(`CREATE VIEW ${quoteRelation(inputTable(model.name, schema))} AS ${emptyQuery(own)}`)
  }
  const quoted = quoteIdentifier(schema)
  await lease.run([`CREATE SCHEMA ${quoted}`, ...views].join(';\n'))
  try {
    const query = await renderQuery(definition, {
      interval: test.interval,
      executionMs: test.executionMs ?? 0,
      runtimeStage: 'testing',
      thisModel: quoteRelation(model.relation),
      root: project.root,
      parser,
    })
    return await work(frozen(query, test))
  } finally {
    await lease.run(`DROP SCHEMA IF EXISTS ${quoted} CASCADE`)
  }
}

function frozen(query: string, { executionMs }: UnitTest): string {
  return executionMs === null ? query : freezeTime(query, executionMs)
}
