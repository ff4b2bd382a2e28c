import { readFileSync } from 'node:fs'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MillraceError, ProjectError } from '../../src/errors.ts'
import { parseModelDefaults } from '../../src/project/header/model-defaults.ts'
import type { Model } from '../../src/project/model.ts'
import { assertAuditsKnown, parseModelFile } from '../../src/project/parse-model.ts'
import { tokenize } from '../../src/sql/lexer.ts'

/** What SQLMesh says about a header. In `parsed` an absent key is false or empty. */
interface OracleCase {
  name: string
  source: string
  defaults: Record<string, unknown> | null
  fqn?: string
  kind?: Record<string, unknown>
  parsed?: Record<string, unknown>
  error?: string
}

const cases = JSON.parse(readFileSync(new URL('../oracles/header.json', import.meta.url), 'utf8')) as OracleCase[]
const AUDITS = new Set(['unique_values', 'not_null', 'number_of_rows'])
/** Kind options that are names or SQL; the others compare as they are. */
const SQL_OPTIONS = new Set([
  'unique_key',
  'columns',
  'when_matched',
  'merge_filter',
  'valid_from_name',
  'valid_to_name',
  'updated_at_name',
])

let instance: DuckDBInstance
let connection: DuckDBConnection
beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:')
  connection = await instance.connect()
})
afterAll(() => {
  connection.closeSync()
  instance.closeSync()
})

describe('headers mean what they mean to SQLMesh', () => {
  test.each(cases.filter(({ error }) => error === undefined))('$name', async (oracle) => {
    const model = load(oracle)
    expect(fqn(model)).toBe(oracle.fqn)
    expect(await comparableKind({ ...model.kind })).toEqual(await comparableKind(oracle.kind ?? {}))
    const { expected, actual } = comparableParsed(oracle, model)
    expect(actual).toEqual(expected)
    expect(await types(model.columns)).toEqual(
      await types((oracle.parsed?.['columns'] as Record<string, string>) ?? null),
    )
    expect(Object.keys(model.columns ?? {})).toEqual(Object.keys(oracle.parsed?.['columns'] ?? {}))
  })
})

describe('headers SQLMesh refuses are refused with file and line', () => {
  test.each(cases.filter(({ error }) => error !== undefined))('$name', (oracle) => {
    const error = problemOf(() => load(oracle))
    for (const problem of error instanceof ProjectError ? error.problems : [error]) {
      expect(problem).toMatchObject({ file: 'models/m.sql', line: expect.any(Number) })
      expect(problem.message).toMatch(/expected|not defined/)
    }
  })
})

function load(oracle: OracleCase): Model {
  const model = parseModelFile(oracle.source, {
    file: 'models/m.sql',
    defaults: parseModelDefaults(oracle.defaults ?? {}),
    defaultCatalog: 'db',
    inferNames: false,
    timeColumnFormat: '%Y-%m-%d',
    variables: {},
  })
  if (model === null) throw new Error('the file holds a model')
  assertAuditsKnown(model, AUDITS)
  return model
}

function problemOf(work: () => unknown): MillraceError {
  try {
    work()
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
  throw new Error('it was accepted')
}

/** SQLMesh adds the default catalog to names of two parts. */
function fqn({ relation }: Model): string {
  const catalog = relation.catalog ?? (relation.schema === null ? null : 'db')
  return [catalog, relation.schema, relation.name].flatMap((part) => (part === null ? [] : [`"${part}"`])).join('.')
}

async function comparableKind(kind: Record<string, unknown>): Promise<Record<string, unknown>> {
  const result: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(kind)) {
    if (key === 'dialect' || value === undefined) continue
    if (key === 'time_data_type') result[key] = await type(value as string)
    else if (key === 'time_column') {
      const { column, format } = value as { column: string; format: string }
      result[key] = { column: sql(column), format }
    } else if (SQL_OPTIONS.has(key)) result[key] = Array.isArray(value) ? value.map(sql) : sql(value as string)
    else result[key] = value
  }
  return result
}

function comparableParsed(oracle: OracleCase, model: Model): { expected: unknown; actual: unknown } {
  const parsed = oracle.parsed ?? {}
  const { kind } = model
  const list = (key: string): string[] => (parsed[key] as string[] | undefined) ?? []
  const time = parsed['time_column'] as [string, string] | undefined
  const declaresDependencies = /\bdepends_on\b/.test(oracle.source)
  const expected = {
    cron: parsed['cron'],
    dialect: parsed['dialect'],
    interval_unit: parsed['interval_unit'],
    enabled: parsed['enabled'] ?? false,
    allow_partials: parsed['allow_partials'] ?? false,
    forward_only: parsed['forward_only'] ?? false,
    disable_restatement: parsed['disable_restatement'] ?? false,
    batch_size: parsed['batch_size'] ?? null,
    batch_concurrency: parsed['batch_concurrency'] ?? null,
    lookback: parsed['lookback'] ?? 0,
    description: parsed['description'] ?? null,
    owner: parsed['owner'] ?? null,
    start: parsed['start'] ?? null,
    tags: list('tags'),
    ignored_rules: list('ignored_rules'),
    references: list('references').map(sql),
    partitioned_by: list('partitioned_by').map(sql),
    time_column: time === undefined ? null : { column: sql(time[0]), format: time[1] },
    // What the query reads is added by the loader.
    depends_on: declaresDependencies ? list('depends_on').map(undefaulted) : [],
    physical_properties: parsed['physical_properties'] ?? {},
    audits: ((parsed['audits'] as [string, Record<string, string>][] | undefined) ?? []).map(([name, args]) => [
      name,
      sqlValues(args),
    ]),
    pre: list('pre').map(sql),
    post: list('post').map(sql),
    on_virtual_update: list('on_virtual_update'),
  }
  const actual = {
    cron: model.cron,
    dialect: model.dialect,
    interval_unit: model.interval_unit,
    enabled: model.enabled,
    allow_partials: model.allow_partials,
    forward_only: kind.forward_only ?? false,
    disable_restatement: kind.disable_restatement ?? false,
    batch_size: kind.batch_size ?? null,
    batch_concurrency: kind.batch_concurrency ?? null,
    lookback: kind.lookback ?? 0,
    description: model.description,
    owner: model.owner,
    start: model.start,
    tags: model.tags,
    ignored_rules: model.ignored_rules,
    references: model.references.map(sql),
    partitioned_by: model.partitioned_by.map(sql),
    time_column: kind.time_column === undefined ? null : { ...kind.time_column, column: sql(kind.time_column.column) },
    depends_on: model.depends_on,
    physical_properties: model.physical_properties,
    audits: model.audits.map(({ name, args, blocking }) => [
      name,
      sqlValues({ ...args, ...(blocking === null ? {} : { blocking: String(blocking) }) }),
    ]),
    pre: model.pre.map(({ text }) => sql(text)),
    post: model.post.map(({ text }) => sql(text)),
    on_virtual_update: model.on_virtual_update.map(({ text }) => text),
  }
  return { expected, actual }
}

/** Tokens, case and the quoting of identifiers ignored; SQLMesh has its own names for source and target of a merge. */
function sql(text: string): string {
  return tokenize(text)
    .map(({ type, value }) => (type === 'string' ? `'${value.toLowerCase()}'` : value.toLowerCase()))
    .join(' ')
    .replace(/__merge_(source|target)__/g, '$1')
}

function sqlValues(values: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, sql(value)]))
}

function undefaulted(name: string): string {
  return name.replaceAll('"', '').replace(/^db\./, '')
}

async function types(columns: Record<string, string> | null): Promise<Record<string, string> | null> {
  if (columns === null) return null
  const named = await Promise.all(
    Object.entries(columns).map(async ([name, text]) => [name, await type(text)] as const),
  )
  return Object.fromEntries(named)
}

async function type(text: string): Promise<string> {
  const reader = await connection.runAndReadAll(`SELECT typeof(CAST(NULL AS ${text}))`)
  return String(reader.getRows()[0]?.[0])
}
