import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { externalDefinition } from '../../src/cli/external-definition.ts'
import { MillraceError } from '../../src/errors.ts'
import { loadProject } from '../../src/project/load.ts'
import { renderQuery, renderStatements, type RenderOptions } from '../../src/project/render-model.ts'
import { createSqlParser } from '../../src/project/sql-parser.ts'
import { createProject } from '../helpers/project.ts'

/** What SQLMesh renders. `schema`: the columns of what the model reads. */
interface OracleCase {
  name: string
  model: string
  variables: Record<string, unknown>
  schema?: Record<string, Record<string, Record<string, string>>>
  stage?: RenderOptions['runtimeStage']
  query?: string
  pre?: string[]
  post?: string[]
  error?: string
}

const read = (file: string): unknown => JSON.parse(readFileSync(new URL(`../oracles/${file}`, import.meta.url), 'utf8'))
const HEADER = 'MODEL (name t.m, dialect duckdb, kind INCREMENTAL_BY_TIME_RANGE (time_column ds), columns (ds DATE));\n'
const CASES = read('macro.json') as OracleCase[]
const MORE = (read('macro-more.json') as (Omit<OracleCase, 'name' | 'model'> & { text: string })[]).map((one) => ({
  ...one,
  name: one.text,
  model: HEADER + one.text,
}))

/** Cases where SQLMesh's answer is wrong or of no use, and what is right. */
const CORRECTED: Readonly<Record<string, Partial<OracleCase>>> = {
  // DuckDB rejects a string beside a dot: a name is meant.
  'EACH var': { query: 'SELECT t.p AS c_p, t.q AS c_q FROM t' },
  "SELECT @EACH(['a', 'b'], x -> t.x AS x) FROM t": { query: 'SELECT t.a AS a, t.b AS b FROM t' },
  'SELECT t.@v AS r, @{v} AS s, @v.a AS u FROM @{v}.t AS t': {
    query: 'SELECT t.abc AS r, abc AS s, abc.a AS u FROM abc.t AS t',
  },
  "SELECT @GENERATE_SURROGATE_KEY(@EACH(@l, c -> t.@c), hash_function := 'SHA256') AS k FROM t": {
    query: "SELECT SHA256(COALESCE(CAST(t.p AS TEXT), '_sqlmesh_surrogate_key_null_')) AS k FROM t",
  },
  // SQLMesh takes the statement for a name.
  'pre/post': { post: ['CHECKPOINT'] },
  // A parameter is one among a macro's arguments, too.
  '@DEF(f, (a, b) -> a + b);\n@DEF(g, a -> @f(a, 2));\nSELECT @g(1) AS x FROM t': { query: 'SELECT 1 + 2 AS x FROM t' },
  '@DEF(g, a -> @f(a, 2));\n@DEF(f, (a, b) -> a + b);\nSELECT @g(1) AS x FROM t': { query: 'SELECT 1 + 2 AS x FROM t' },
  'SELECT @EACH([a, b], x -> @IF(TRUE, x)) FROM t': { query: 'SELECT a, b FROM t' },
  'SELECT @EACH([1, 2, 3], x -> @IF(x > 1, a + x AS a_@x)) FROM t': {
    query: 'SELECT a + 2 AS a_2, a + 3 AS a_3 FROM t',
  },
  // SQLMesh loses what is around the macro.
  'SELECT a IN @FILTER([1,2,3], x -> x > 1) AS s FROM t': { query: 'SELECT a IN (2, 3) AS s FROM t' },
  'SELECT coalesce(@EACH([a, b], x -> x)) AS q FROM t': { query: 'SELECT coalesce(a, b) AS q FROM t' },
  // A text's value is a text, not a name.
  "SELECT @EVAL('x') AS a": { query: "SELECT 'x' AS a" },
  "SELECT @EVAL(UPPER('x')) AS a": { query: "SELECT 'X' AS a" },
  // The operators around must not take the conditions apart.
  'SELECT 1 AS x FROM t WHERE @OR(a = 1, b = 2) AND c = 3': {
    query: 'SELECT 1 AS x FROM t WHERE (a = 1 OR b = 2) AND c = 3',
  },
  'SELECT 1 AS x FROM t WHERE NOT @AND(a = 1, b = 2)': { query: 'SELECT 1 AS x FROM t WHERE NOT (a = 1 AND b = 2)' },
  // The same interval: SQLMesh writes the number as a text.
  'SELECT INTERVAL @n DAY AS x, @n::TEXT AS y, -@n AS z': {
    query: 'SELECT INTERVAL 3 DAY AS x, CAST(3 AS TEXT) AS y, -3 AS z',
  },
}

const parser = createSqlParser()
let instance: DuckDBInstance
let connection: DuckDBConnection
beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:')
  connection = await instance.connect()
})
afterAll(async () => {
  connection.closeSync()
  instance.closeSync()
  await parser.close()
})

const UNKNOWN_SCHEMA = ['STAR unknown schema', 'UNION unknown schema']
// Jinja has tests of its own.
const rendered = CASES.filter(
  ({ name, error }) => error === undefined && !UNKNOWN_SCHEMA.includes(name) && name !== 'jinja',
)

describe('macros mean what they mean to SQLMesh', () => {
  test.each([...rendered, ...MORE])('$name', async (oracle) => {
    const wanted = { ...oracle, ...CORRECTED[oracle.name] }
    const { query, pre, post } = await render(oracle)
    expect(await tree(query), query).toEqual(await tree(wanted.query ?? ''))
    expect(await Promise.all(pre.map(comparable))).toEqual(await Promise.all((wanted.pre ?? []).map(comparable)))
    expect(await Promise.all(post.map(comparable))).toEqual(await Promise.all((wanted.post ?? []).map(comparable)))
  })
})

describe('what SQLMesh refuses is refused with file and line', () => {
  test.each(CASES.filter(({ error, name }) => error !== undefined && name !== 'gateway undefined'))(
    '$name',
    async (oracle) => {
      expect(await failure(oracle)).toMatchObject({ file: 'models/m.sql', line: 2 })
    },
  )

  // A project always has a gateway, so that it is defined here.
  test('gateway undefined', async () => {
    const oracle = CASES.find(({ name }) => name === 'gateway undefined')
    expect((await render(oracle as OracleCase)).query).toBe("SELECT 'local' AS g")
  })

  test.each(UNKNOWN_SCHEMA)('%s: without columns there is no query', async (name) => {
    const error = await failure(CASES.find((one) => one.name === name) as OracleCase)
    expect(error).toMatchObject({ code: 'MACRO', file: 'models/m.sql', line: 2 })
    expect(error.hint).toContain('create-external-models')
  })
})

async function failure(oracle: OracleCase): Promise<MillraceError> {
  const error: unknown = await render(oracle).then(
    () => null,
    (problem: unknown) => problem,
  )
  if (error instanceof MillraceError) return error
  throw new Error(`${oracle.name} did not fail`, { cause: error })
}

async function render({ model: text, variables, schema, stage }: OracleCase): Promise<{
  query: string
  pre: string[]
  post: string[]
}> {
  const tables = Object.entries(schema ?? {}).flatMap(([schemaName, relations]) =>
    Object.entries(relations).map(([table, columns]) => ({ name: `${schemaName}.${table}`, columns })),
  )
  const root = await createProject({
    'config.yaml': JSON.stringify({
      gateways: { local: { connection: { type: 'duckdb', database: 'db.duckdb' } } },
      model_defaults: { dialect: 'duckdb', start: '2020-01-01' },
      variables,
    }),
    'models/m.sql': text,
    'external_models.yaml': JSON.stringify(tables),
  })
  const project = await loadProject(root, { env: {}, parser })
  const [model] = project.models
  if (model === undefined) throw new Error('no model')
  const options: RenderOptions = {
    interval: [Date.UTC(2020, 0, 1), Date.UTC(2020, 0, 3)],
    executionMs: Date.UTC(2020, 0, 5, 6, 7, 8),
    runtimeStage: stage ?? 'loading',
    thisModel: '"db"."t"."m"',
    root,
    parser,
  }
  const definition = externalDefinition(project, model)
  return {
    query: await renderQuery(definition, options),
    pre: await renderStatements(model.pre, definition, options),
    post: await renderStatements(model.post, definition, options),
  }
}

/** A statement as a tree where DuckDB has one; else its words, without quotes. */
async function comparable(sql: string): Promise<unknown> {
  return (await serialized(sql)) ?? sql.replaceAll('"', '').toLowerCase().trim()
}

async function tree(sql: string): Promise<unknown> {
  const found = await serialized(sql)
  expect(found, sql).not.toBeNull()
  return found
}

async function serialized(sql: string): Promise<unknown> {
  const reader = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [sql])
  const parsed = JSON.parse(String(reader.getRows()[0]?.[0])) as { error: boolean; statements: unknown }
  return parsed.error ? null : normalized(parsed.statements)
}

/**
 * The tree without what SQLMesh adds to any query, which changes nothing: positions, the case of names, aliases that
 * are the column's or table's own name or a constant's text, the default catalog, the default order of NULLs.
 */
function normalized(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(normalized)
  if (typeof node !== 'object' || node === null) return node
  const { query_location: _, ...rest } = node as Record<string, unknown>
  const entries = Object.entries(rest).map(([key, value]) => [key, normalized(value)] as const)
  const copy: Record<string, unknown> = Object.fromEntries(entries)
  if (copy['class'] === 'COLUMN_REF') {
    const names = (copy['column_names'] as string[]).map((name) => name.toLowerCase())
    copy['column_names'] = names
    if (copy['alias'] === names.at(-1)) copy['alias'] = ''
  }
  if (copy['class'] === 'CONSTANT' && copy['alias'] === String((copy['value'] as { value?: unknown }).value))
    copy['alias'] = ''
  if (typeof copy['function_name'] === 'string') copy['function_name'] = copy['function_name'].toLowerCase()
  if (copy['class'] === 'CAST' && copy['alias'] !== '') {
    const child = copy['child'] as { column_names?: string[] }
    if (child.column_names?.at(-1) === copy['alias']) copy['alias'] = ''
  }
  if (copy['type'] === 'BASE_TABLE') {
    if (copy['alias'] === copy['table_name']) copy['alias'] = ''
    if (copy['catalog_name'] === 'db') copy['catalog_name'] = ''
  }
  if (copy['null_order'] === 'NULLS LAST') copy['null_order'] = 'ORDER_DEFAULT'
  return copy
}
