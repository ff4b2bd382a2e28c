/** One entry of a test file → UnitTest. */
import { parseTime } from '../../graph/time.ts'
import { MillraceError } from '../../errors.ts'
import { tokenize } from '../../sql/lexer.ts'
import { datePrefix } from '../../sql/date-variables.ts'
import type { VariableValue } from '../../sql/variable-value.ts'
import { displayName } from '../../sql/identifiers.ts'
import { normalizedName } from '../names.ts'
import type { DataPath } from '../yaml-file.ts'
import { readRows } from './read-rows.ts'
import { isMapping, lowerKeys, type TestContext, type TestSource } from './test-values.ts'
import { PlainTime, type TestInput, type TestOutput, type UnitTest } from './unit-test.ts'

const TEST_KEYS = ['model', 'description', 'schema', 'gateway', 'inputs', 'outputs', 'vars']
const DAY_MS = 86_400_000

/** Null when something is wrong with it; the source has the problems. */
export function parseTest(name: string, context: TestContext): UnitTest | null {
  const { source } = context
  const before = source.problems.length
  const body = source.mapping((source.yaml.value as Record<string, unknown>)[name], [name], TEST_KEYS)
  if (body === null) return null
  const written = source.text(body['model'], [name, 'model'])
  if (written === null) source.wrong([name], `test '${name}': expected the 'model' that it tests`)
  const gateway = source.text(body['gateway'], [name, 'gateway'])
  if (gateway !== null && !context.gateways.includes(gateway.toLowerCase())) {
    source.wrong([name, 'gateway'], `expected a gateway of config.yaml, got '${gateway}'`)
  }
  const test: UnitTest = {
    name,
    model: modelName(written ?? '', [name, 'model'], context),
    description: source.text(body['description'], [name, 'description']),
    inputs: parseInputs(body['inputs'], [name, 'inputs'], context),
    ...parseOutputs(body['outputs'], name, context),
    ...parseVars(body['vars'], [name, 'vars'], source),
    schema: source.text(body['schema'], [name, 'schema']),
    file: source.yaml.file,
    line: source.lineOf([name]),
  }
  return source.problems.length === before ? test : null
}

/** As `depends_on` has it. */
function modelName(written: string, path: DataPath, { source, defaultCatalog }: TestContext): string {
  const tokens = tokenize(written)
  const parts = tokens.filter((_, index) => index % 2 === 0)
  const isName =
    tokens.every((token, index) =>
      index % 2 === 0 ? token.type === 'word' || token.type === 'quoted' : token.text === '.',
    ) && parts.length <= 3
  if (!isName) source.wrong(path, `expected the name of a model, got '${written}'`)
  const [name = '', schema = null, catalog = null] = parts.map(({ value }) => value.toLowerCase()).reverse()
  const relation = { catalog, schema, name }
  return isName ? normalizedName(relation, defaultCatalog) : displayName(relation)
}

function parseInputs(value: unknown, path: DataPath, context: TestContext): Record<string, TestInput> {
  if (value === undefined || value === null) return {}
  const inputs = context.source.mapping(value, path) ?? {}
  const parsed = Object.entries(inputs).flatMap(([written, rows]) => {
    const place = [...path, written]
    const found = readRows(rows, place, context, ['columns'])
    if (found === null) return []
    const columns =
      isMapping(rows) && rows['columns'] ? context.source.mapping(rows['columns'], [...place, 'columns']) : {}
    const types = Object.entries(columns ?? {}).map(([column, type]) => [column.toLowerCase(), String(type)] as const)
    return [[modelName(written, place, context), { columns: Object.fromEntries(types), source: found }] as const]
  })
  return Object.fromEntries(parsed)
}

function parseOutputs(value: unknown, name: string, context: TestContext): Pick<UnitTest, 'query' | 'ctes'> {
  const { source } = context
  const path = [name, 'outputs']
  if (value === undefined || value === null) {
    source.wrong([name], `test '${name}': expected 'outputs'`, 'give the rows of `query`, of `ctes`, or of both')
    return { query: null, ctes: {} }
  }
  const outputs = source.mapping(value, path, ['query', 'ctes', 'partial']) ?? {}
  if (outputs['query'] === undefined && outputs['ctes'] === undefined)
    source.wrong(path, `test '${name}': expected 'query' or 'ctes' in its outputs`)
  const partial = outputs['partial'] === true
  const output = (rows: unknown, place: DataPath): TestOutput | null => {
    const found = readRows(rows, place, context, ['partial'])
    const own = isMapping(rows) && rows['partial'] === true
    return found === null ? null : { source: found, partial: partial || own, line: source.lineOf(place) }
  }
  const ctes = outputs['ctes'] === undefined ? {} : (source.mapping(outputs['ctes'], [...path, 'ctes']) ?? {})
  const read = Object.entries(ctes).flatMap(([cte, rows]) => {
    const found = output(rows, [...path, 'ctes', cte])
    return found === null ? [] : [[cte.toLowerCase(), found] as const]
  })
  return {
    query: outputs['query'] === undefined ? null : output(outputs['query'], [...path, 'query']),
    ctes: Object.fromEntries(read),
  }
}

function parseVars(
  value: unknown,
  path: DataPath,
  source: TestSource,
): Pick<UnitTest, 'interval' | 'executionMs' | 'variables'> {
  const given = value === undefined || value === null ? {} : (source.mapping(value, path) ?? {})
  const vars = lowerKeys(given)
  const times = new Map<string, string>()
  const variables: Record<string, VariableValue> = {}
  for (const [name, one] of Object.entries(vars)) {
    // `start_ds` and its like are what `start` says.
    const time = TIMES.get(name) ?? (/_(ds|date)$/.test(name) ? TIMES.get(datePrefix(name) ?? '') : undefined)
    if (time !== undefined) {
      if (times.has(time) && TIMES.get(name) === undefined) continue
      times.set(time, source.text(one, [...path, name]) ?? '')
    } else if (datePrefix(name) !== null) {
      source.wrong(
        [...path, name],
        `expected start, end or execution_time, got '${name}'`,
        'date variables follow from those',
      )
    } else variables[name] = variable(one)
  }
  const read = (name: string, role: 'start' | 'end', now: number): number | null => {
    const text = times.get(name)
    if (text === undefined) return null
    try {
      return parseTime(text, role, now)
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      return source.wrong([...path, name], error.message, error.hint ?? undefined)
    }
  }
  const executionMs = read('execution_time', 'start', Date.now())
  const start = read('start', 'start', executionMs ?? 0)
  const end = read('end', 'end', executionMs ?? 0)
  return { interval: [start ?? 0, end ?? Math.max(DAY_MS, (start ?? 0) + DAY_MS)], executionMs, variables }
}

const TIMES: ReadonlyMap<string, string> = new Map([
  ['start', 'start'],
  ['end', 'end'],
  ['execution_time', 'execution_time'],
  ['execution', 'execution_time'],
  ['latest', 'execution_time'],
])

function variable(value: unknown): VariableValue {
  if (value instanceof PlainTime) return value.text
  if (typeof value === 'bigint') return value.toString()
  if (Array.isArray(value)) return value.map(variable)
  if (isMapping(value)) return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, variable(one)]))
  return value as VariableValue
}
