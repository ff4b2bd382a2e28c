/** `create-test MODEL`: a unit test made of rows that the database has now, and of what the model makes of them. */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { MillraceError } from '../../errors.ts'
import { toIso } from '../../graph/time.ts'
import { hasInterval, type Model } from '../../project/model.ts'
import type { Project } from '../../project/project.ts'
import { loadUnitTests, parseOneTest } from '../../project/unit-tests/load-tests.ts'
import type { UnitTest } from '../../project/unit-tests/unit-test.ts'
import { writeTest, type WrittenTest } from '../../project/unit-tests/write-test.ts'
import { commonTableQuery, commonTables } from '../../sql/common-tables.ts'
import { freezeTime } from '../../sql/freeze-time.ts'
import { createColumnSource } from '../../unit-tests/column-types.ts'
import { withInputs } from '../../unit-tests/run-test.ts'
import { runTests } from '../../unit-tests/run-tests.ts'
import type { CommandContext, Verb } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { findModel } from '../find-model.ts'
import { parseTimes } from '../interval-option.ts'
import { liveRelation, withLiveDatabase } from '../live-database.ts'
import { loadForVerb, type LoadedProject } from '../load-for-verb.ts'
import { withScratchDatabase } from '../scratch-database.ts'
import { sampleRows, type SampledRows } from '../test/sample-rows.ts'
import { testRunText } from '../test/test-text.ts'

/** Rows of each input that no --query is given for. */
const SAMPLE = 3

export const createTestVerb: Verb = {
  async run(context) {
    await using loaded = await loadForVerb(context)
    const { project } = loaded
    const model = findModel(project, context.args[0] ?? '')
    if (model.query === null)
      throw new MillraceError('USAGE', `expected a model with a query; '${model.name}' is of kind ${model.kind.name}`)
    const file = testFile(context, model, project.root)
    const inputs = await readInputs(context, project, model)
    const test = await withScratchDatabase((lease) =>
      completeTest({ ...loaded, lease }, toWrittenTest(context, model, inputs), inputs, context.options.includeCtes),
    )
    await mkdir(dirname(join(project.root, file)), { recursive: true })
    await writeFile(join(project.root, file), writeTest(test))
    return answer(context, loaded, file, test)
  },
}

/** Relative to the project. @throws MillraceError USAGE */
function testFile({ options }: CommandContext, model: Model, root: string): string {
  const given = options.path ?? options.name ?? `test_${model.relation.name}`
  const path = `tests/${/\.ya?ml$/.test(given) ? given : `${given}.yaml`}`
  if (!basename(path).startsWith('test'))
    throw new MillraceError('USAGE', `expected a file whose name begins with 'test', got '${path}'`, {
      hint: 'other files in tests/ are not read as tests: give --path',
    })
  if (existsSync(join(root, path)) && !options.overwrite)
    throw new MillraceError('USAGE', `expected no file '${path}'; there is one`, {
      hint: '--overwrite replaces it, --name or --path gives another one',
    })
  return path
}

type Inputs = Record<string, SampledRows>

async function readInputs(context: CommandContext, project: Project, model: Model): Promise<Inputs> {
  const { options, output } = context
  const queries = new Map(Object.entries(options.queries).map(([name, sql]) => [inputName(name, project), sql]))
  const names = inputNames(project, model)
  const other = [...queries.keys()].find((name) => !names.includes(name))
  if (other !== undefined)
    throw new MillraceError('USAGE', `--query: expected one of ${names.join(', ')}; got '${other}'`)
  if (names.length === 0) return {}
  return withLiveDatabase(context, project, async (lease) => {
    const inputs: Inputs = {}
    for (const name of names) {
      const query = queries.get(name)
      if (query === undefined)
        output.say(`${name}: its first ${SAMPLE} rows; --query ${name} 'SELECT …' chooses others`)
      const all = `SELECT * FROM ${liveRelation(name, project, options.environment)} LIMIT ${SAMPLE}`
      inputs[name] = await sampleRows(query ?? all, lease).catch((error: unknown) => {
        throw unreadable(name, error)
      })
    }
    return inputs
  })
}

function unreadable(name: string, error: unknown): MillraceError {
  const message = error instanceof Error ? error.message : String(error)
  return new MillraceError('SQL', `expected rows of '${name}' from the database; got: ${message}`, { cause: error })
}

function inputName(written: string, { defaultCatalog }: Project): string {
  const name = written.toLowerCase().replaceAll('"', '')
  return name.startsWith(`${defaultCatalog}.`) && name.split('.').length === 3
    ? name.slice(defaultCatalog.length + 1)
    : name
}

/** What it reads; embedded models are opened, and what it reads of itself is left empty. */
function inputNames({ models }: Project, model: Model): string[] {
  const names = model.depends_on.flatMap((name) => {
    const parent = models.find((one) => one.enabled && one.name === name)
    return parent?.kind.name === 'EMBEDDED' ? inputNames({ models } as Project, parent) : [name]
  })
  return [...new Set(names)].filter((name) => !/[/\\*?]/.test(name)).sort()
}

function toWrittenTest({ options }: CommandContext, model: Model, inputs: Inputs): WrittenTest {
  const vars = { ...options.vars }
  if (hasInterval(model.kind)) {
    const [start, end] = parseTimes(options, Date.now()).interval
    Object.assign(vars, { start: toIso(start), end: toIso(end) })
  }
  if (options.executionTime !== null)
    vars['execution_time'] = toIso(parseTimes({ ...options, start: null, end: null }, Date.now()).executionMs)
  const given = Object.entries(inputs).map(([name, { columns, rows }]) => [name, { columns, rows }] as const)
  const name = options.name ?? `test_${model.relation.name}`
  return { name, model: model.name, inputs: Object.fromEntries(given), query: [], ctes: {}, vars }
}

/** Runs the model on the inputs and fills the outputs in; types that are known without the test are left out of it. */
async function completeTest(
  surroundings: Omit<Parameters<typeof withInputs>[1], 'columns'>,
  test: WrittenTest,
  inputs: Inputs,
  includeCtes: boolean,
): Promise<WrittenTest> {
  const columns = createColumnSource(surroundings)
  const parsed = (one: WrittenTest): UnitTest => parseOneTest(writeTest(one), surroundings.project)
  let complete = test
  const run = async (query: string): Promise<void> => {
    const rows = async (sql: string) => (await sampleRows(sql, surroundings.lease)).rows
    const ctes: WrittenTest['ctes'] = {}
    for (const { name } of includeCtes ? commonTables(query) : [])
      ctes[name] = await rows(commonTableQuery(query, name))
    complete = { ...complete, query: await rows(query), ctes }
  }
  const all = { ...surroundings, columns }
  await withInputs(parsed(test), all, async (query) => {
    const isTimeless = freezeTime(query, 0) === query
    if (isTimeless || test.vars['execution_time'] !== undefined) return run(query)
    // What asks for the time would give something else tomorrow.
    complete = { ...test, vars: { ...test.vars, execution_time: new Date().toISOString() } }
  })
  if (complete.vars['execution_time'] !== test.vars['execution_time']) await withInputs(parsed(complete), all, run)
  const written: WrittenTest['inputs'] = {}
  for (const [name, { rows, columns: types }] of Object.entries(inputs))
    written[name] = { rows, columns: (await columns.of(name)) === null ? types : null }
  return { ...complete, inputs: written }
}

async function answer(
  { output }: CommandContext,
  { project, parser }: LoadedProject,
  file: string,
  test: WrittenTest,
): Promise<typeof EXIT.done | typeof EXIT.failed> {
  const tests = (await loadUnitTests(project)).filter((one) => one.file === file)
  const run = await withScratchDatabase((lease) => runTests(tests, { project, parser, lease }))
  const rows = Object.fromEntries(Object.entries(test.inputs).map(([name, input]) => [name, input.rows.length]))
  const empty = test.query.length === 0 ? '\nThe model gives no rows of these: choose others with --query' : ''
  output.answer(`Wrote ${file}${empty}\n${testRunText(run)}`, {
    file,
    test: test.name,
    inputs: rows,
    rows: test.query.length,
    passed: run.failed === 0,
  })
  return run.failed === 0 ? EXIT.done : EXIT.failed
}
