import { DuckDBInstance } from '@duckdb/node-api'
import type { DuckDBConnection } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MillraceError } from '../../src/errors.ts'
import { expandMacros, undefinedVariables, usedVariables, usesTime } from '../../src/sql/macros.ts'
import type { MacroEnvironment } from '../../src/sql/macros.ts'

const environment: MacroEnvironment = {
  start: Date.UTC(2020, 0, 1),
  end: Date.UTC(2020, 0, 3),
  execution: Date.UTC(2020, 0, 5, 6, 7, 8),
  variables: {
    v: 'abc',
    n: 3,
    neg: -4,
    half: 1.5,
    yes: true,
    nothing: null,
    nums: [1, 2, 3],
    names: ['p', "it's"],
    nested: [
      [1, 2],
      [3, 4],
    ],
    one: [7],
    mapping: { k: 'x', m: 'y' },
    Spaced: 'my col',
    ord: 'order',
    views: 'mine',
  },
  runtimeStage: 'evaluating',
  thisModel: '"db"."t"."m"',
  gateway: null,
  modelKind: 'INCREMENTAL_BY_TIME_RANGE',
}
const full: MacroEnvironment = { ...environment, start: null, end: null, modelKind: 'FULL' }
const place = { file: 'models/m.sql', line: 10 }

function expand(text: string, overrides: Partial<MacroEnvironment> = {}): Promise<string> {
  return expandMacros(text, { ...environment, ...overrides }, place)
}

async function failure(text: string, where: MacroEnvironment = environment): Promise<MillraceError> {
  try {
    await expandMacros(text, where, place)
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
  throw new Error(`${text} did not fail`)
}

let connection: DuckDBConnection
let instance: DuckDBInstance
beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:')
  connection = await instance.connect()
})
afterAll(() => {
  connection.closeSync()
  instance.closeSync()
})

/** DuckDB's own syntax tree, without positions. */
async function tree(sql: string): Promise<unknown> {
  const reader = await connection.runAndReadAll('SELECT json_serialize_sql($1::VARCHAR)', [sql])
  const parsed = JSON.parse(String(reader.getRows()[0]?.[0]), (key, value: unknown) =>
    key === 'query_location' ? undefined : value,
  ) as { error: boolean; statements: unknown }
  expect(parsed, sql).toMatchObject({ error: false })
  return parsed.statements
}

async function valueOf(sql: string): Promise<unknown> {
  return (await connection.runAndReadAll(sql)).getRowsJson()[0]?.[0]
}

/** What SQLMesh renders for the interval 2020-01-01 to 2020-01-02, executed at 2020-01-05 06:07:08. */
const SQLMESH: [written: string, rendered: string][] = [
  ['SELECT @start_dt AS x', `SELECT CAST('2020-01-01 00:00:00+00:00' AS TIMESTAMPTZ) AS "x"`],
  ['SELECT @start_tstz AS x', `SELECT '2020-01-01 00:00:00+00:00' AS "x"`],
  ['SELECT @start_millis AS x', 'SELECT 1577836800000 AS "x"'],
  ['SELECT @start_epoch AS x', 'SELECT 1577836800.0 AS "x"'],
  ['SELECT @start_hour AS x', 'SELECT 0 AS "x"'],
  ['SELECT @end_dt AS x', `SELECT CAST('2020-01-02 23:59:59.999999+00:00' AS TIMESTAMPTZ) AS "x"`],
  ['SELECT @end_dtntz AS x', `SELECT CAST('2020-01-02 23:59:59.999999' AS TIMESTAMP) AS "x"`],
  ['SELECT @end_date AS x', `SELECT CAST('2020-01-02' AS DATE) AS "x"`],
  ['SELECT @end_ds AS x', `SELECT '2020-01-02' AS "x"`],
  ['SELECT @end_hour AS x', 'SELECT 23 AS "x"'],
  ['SELECT @end_epoch AS x', 'SELECT 1578009599.999 AS "x"'],
  ['SELECT @execution_dt AS x', `SELECT CAST('2020-01-05 06:07:08+00:00' AS TIMESTAMPTZ) AS "x"`],
  ['SELECT @execution_ds AS x', `SELECT '2020-01-05' AS "x"`],
  ['SELECT @execution_ts AS x', `SELECT '2020-01-05 06:07:08' AS "x"`],
  ['SELECT @execution_epoch AS x', 'SELECT 1578204428.0 AS "x"'],
  ['SELECT @latest_hour AS x', 'SELECT 6 AS "x"'],
  ['SELECT @START_DS AS x', `SELECT '2020-01-01' AS "x"`],
  ["SELECT @VAR('missing', 7) AS x", 'SELECT 7 AS "x"'],
  ["SELECT @VAR('missing') AS x", 'SELECT NULL AS "x"'],
  ["SELECT @VAR('missing', default := 4) AS x", 'SELECT 4 AS "x"'],
  ["SELECT @VAR('missing', @v) AS x", `SELECT 'abc' AS "x"`],
  ["SELECT @VAR('V') AS x", `SELECT 'abc' AS "x"`],
  ["SELECT @var('nothing', 9) AS x", 'SELECT NULL AS "x"'],
  ["SELECT @VAR('names') AS x", `SELECT ['p', 'it''s'] AS "x"`],
  ["SELECT 1 FROM t WHERE a IN @VAR('nums')", 'SELECT 1 FROM t WHERE a IN (1, 2, 3)'],
  [
    'SELECT @v AS x, @n AS y, @yes AS z, @nothing AS w, @half AS u',
    `SELECT 'abc' AS x, 3 AS y, TRUE AS z, NULL AS w, 1.5 AS u`,
  ],
  ['SELECT a IN @nums FROM t', 'SELECT a IN (1, 2, 3) FROM t'],
  ['SELECT a IN @one FROM t', 'SELECT a IN (7) FROM t'],
  ['SELECT @names AS x, @nested AS y', `SELECT ('p', 'it''s') AS x, ([1, 2], [3, 4]) AS y`],
  ["SELECT @mapping['k'] AS x", "SELECT MAP(['k', 'm'], ['x', 'y'])['k'] AS x"],
  ['SELECT col_@{v} AS x FROM t', 'SELECT "col_abc" AS "x" FROM "t"'],
  [
    'SELECT @{v}_x, x_@{v}_y, x_@{v}@{n}, t.a_@{v}, @{ v }, @{V} FROM t',
    'SELECT abc_x, x_abc_y, x_abc3, t.a_abc, abc, abc FROM t',
  ],
  ['SELECT x_@v FROM t', 'SELECT x_abc FROM t'],
  ['SELECT "a@{v}", "a@v", "me@home", "a@@v" FROM t', 'SELECT "aabc", "aabc", "me@home", "a@v" FROM t'],
  ['SELECT @{ord}, a_@{spaced} FROM t', 'SELECT "order", "a_my col" FROM t'],
  [
    `SELECT 'x_@v', 'x_@{v}', $$a @v$$, @'pre_@v', @'pre_@{v}_z', @'me@home @n @nums'`,
    `SELECT 'x_@v', 'x_@{v}', 'a @v', 'pre_abc', 'pre_abc_z', 'me@home 3 [1, 2, 3]'`,
  ],
  ['SELECT * FROM @v.t', 'SELECT * FROM abc.t'],
  ['SELECT * FROM x.@v', 'SELECT * FROM x.abc'],
  ['SELECT * FROM @{v}.t', 'SELECT * FROM abc.t'],
  [
    'WITH @v AS (SELECT 1 AS a), c_@{v} AS (SELECT 2 AS a) SELECT a AS @v FROM c_@{v}',
    'WITH abc AS (SELECT 1 AS a), c_abc AS (SELECT 2 AS a) SELECT a AS abc FROM c_abc',
  ],
  [`SELECT * FROM '/d/@v.csv' JOIN '/d/@{v}.json' ON TRUE`, `SELECT * FROM '/d/abc.csv' JOIN '/d/abc.json' ON TRUE`],
  [`SELECT a IS DISTINCT FROM 'x@v'`, `SELECT a IS DISTINCT FROM 'x@v'`],
  ['SELECT INTERVAL @n DAY, CAST(@v AS TEXT)', `SELECT INTERVAL 3 DAY, CAST('abc' AS TEXT)`],
  ['SELECT * FROM @this_model', 'SELECT * FROM "db"."t"."m"'],
  ['SELECT @runtime_stage, @model_kind_name', "SELECT 'evaluating', 'INCREMENTAL_BY_TIME_RANGE'"],
]

describe('macros render as SQLMesh renders them', () => {
  it.each(SQLMESH)('%s', async (written, rendered) => {
    expect(await tree(await expand(written))).toEqual(await tree(rendered))
  })

  it('renders the time of execution in kinds without an interval', async () => {
    expect(await expandMacros('SELECT @execution_ds AS x', full, place)).toBe("SELECT '2020-01-05' AS x")
  })

  it('renders @this_model outside queries', async () => {
    expect(await expand('ANALYZE @this_model')).toBe('ANALYZE "db"."t"."m"')
    expect(await expand('INSERT INTO @this_model (a, b) VALUES (1, 2)')).toBe(
      'INSERT INTO "db"."t"."m" (a, b) VALUES (1, 2)',
    )
  })

  it('renders the gateway when there is one', async () => {
    expect(await expand('SELECT @gateway', { gateway: 'local' })).toBe("SELECT 'local'")
  })
})

describe('expandMacros', () => {
  it('leaves everything that is no macro exactly as written', async () => {
    const sql = `  SELECT a ,b -- @nope and 'quote\n/* @nope */ , "x", 'it''s @nope', $1, l @> [1], x::INT FROM\tt ;\r\n`
    expect(await expand(sql)).toBe(sql)
    expect(await expand(`${sql}SELECT @n${sql}`)).toBe(`${sql}SELECT 3${sql}`)
  })

  it('keeps the sign of a negative number apart from what is around it', async () => {
    expect(await valueOf(await expand('SELECT 2-@neg'))).toBe(6)
    expect(await valueOf(await expand('SELECT @neg::TEXT'))).toBe('-4')
    expect(await valueOf(await expand('SELECT @neg ** 2'))).toBe(16)
  })

  it('renders lists and mappings DuckDB can read', async () => {
    expect(await valueOf(await expand('SELECT 2 IN @nums'))).toBe(true)
    expect(await valueOf(await expand("SELECT 2 IN @VAR('nums')"))).toBe(true)
    expect(await valueOf(await expand("SELECT @mapping['m']"))).toBe('y')
  })

  it('keeps what follows a name with a variable in it', async () => {
    expect(await expand('SELECT t_@{v}1.x, t_@{v}2y FROM t')).toBe('SELECT t_abc1.x, t_abc2y FROM t')
  })

  it('takes a keyword right before a variable for a keyword', async () => {
    expect(await expand('SELECT 1 WHERE a IN@nums')).toBe('SELECT 1 WHERE a IN(1, 2, 3)')
  })

  it('prefers locals to everything else', async () => {
    expect(
      await expand('SELECT @n, @start_ds, @{column}_x, @{column}', {
        locals: { N: '1 + 1', start_ds: 'x', column: '"A b"' },
      }),
    ).toBe('SELECT 1 + 1, x, "A b_x", "A b"')
  })

  it('lets a project use names of variables that other statements have', async () => {
    expect(await expand('SELECT @views')).toBe("SELECT 'mine'")
    expect(await failure('SELECT @schemas')).toMatchObject({
      code: 'MACRO',
      line: 10,
      column: 8,
      hint: 'Only statements of before_all and after_all have it',
    })
    const statement = { thisEnv: 'prod', schemas: ['a', 'b'], views: ['a.v'], defaultCatalog: 'db' }
    expect(await expand('SELECT @this_env, @schemas, @VIEWS, @default_catalog', statement)).toBe(
      "SELECT 'prod', ('a', 'b'), ('a.v'), 'db'",
    )
  })

  it.each([
    ['SELECT\n  @nope', 'nope'],
    ['SELECT\n  col_@{nope}', 'nope'],
    ['SELECT\n  "col_@{nope}"', 'nope'],
    ["SELECT\n  @'@{nope}'", 'nope'],
    ['SELECT\n  x_@v_y', 'v_y'],
    ["SELECT\n  @VAR('missing', @nope)", 'nope'],
  ])('names the undefined variable and its line: %j', async (text, name) => {
    expect(await failure(text)).toMatchObject({
      code: 'MACRO',
      message: `Macro variable '${name}' is undefined`,
      file: 'models/m.sql',
      line: 11,
    })
  })

  it.each([
    ['@start_d', 'Did you mean @start_ds?'],
    ['@numbs', 'Did you mean @nums?'],
    ['@SPACD', 'Did you mean @spaced?'],
    ['@qqqqqqqq', 'Define it under variables in config.yaml'],
  ])('suggests the nearest name for %s', async (text, hint) => {
    expect((await failure(text)).hint).toBe(hint)
  })

  it('says that a kind has no interval', async () => {
    for (const name of ['start_ds', 'end_ts']) {
      expect(await failure(`SELECT 1,\n\n@${name}`, full)).toMatchObject({
        code: 'MACRO',
        message: `Macro variable '${name}' is undefined: start and end are not defined for this kind (FULL)`,
        line: 12,
      })
    }
  })

  it('calls what has no value here undefined', async () => {
    expect((await failure('SELECT @gateway')).message).toBe("Macro variable 'gateway' is undefined")
    expect((await failure('SELECT @this_model', { ...environment, thisModel: null })).message).toBe(
      "Macro variable 'this_model' is undefined",
    )
  })

  it('refuses unknown functions and suggests one', async () => {
    expect(await failure('SELECT @EECH(1)')).toMatchObject({
      code: 'MACRO',
      message: "Macro function 'eech' is undefined",
      hint: 'Did you mean @EACH(…)?',
    })
    expect(await failure('SELECT @our_own_macro(1)')).toMatchObject({ code: 'MACRO' })
  })

  it('refuses Jinja', async () => {
    expect(await failure('\nJINJA_QUERY_BEGIN;\nSELECT {{ 1 }}\nJINJA_END;')).toMatchObject({
      code: 'NOT_YET',
      line: 11,
    })
  })

  it.each(['@VAR(v)', '@VAR()', "@VAR('a', 1, 2)", "@VAR('a' || 'b')", "@VAR('a', other := 1)"])(
    'refuses %s',
    async (text) => {
      expect(await failure(text)).toMatchObject({
        code: 'MACRO',
        message: `Expected @VAR('name'[, default]), got ${text}`,
      })
    },
  )

  it.each([
    'SELECT @ -1',
    'SELECT @(1)',
    'SELECT @@v',
    'SELECT @{}',
    'SELECT @{a.b}',
    'SELECT @VAR(1',
    'SELECT a_@{nums}',
  ])('refuses %s', async (text) => {
    expect(await failure(text)).toMatchObject({ code: 'MACRO', line: 10 })
  })

  it('says where a string starts that does not end', async () => {
    expect(await failure("SELECT 1,\n'abc")).toMatchObject({ code: 'SQL_SYNTAX', file: 'models/m.sql', line: 11 })
  })
})

describe('what a text uses', () => {
  it('lists variables of every form, in lower case', async () => {
    const text = `SELECT @A, b_@{B}, "c@{c}", @'d@d', @VAR('E', @f), @EACH(@g, x -> @{h} + @x), @SQL('@l + 1'), @WHERE(@m) @o, @start_ds, @this_model, @gateway
      , 'i@i' -- @j
      FROM 'k@k.csv'`
    expect([...usedVariables(text)]).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'l', 'm', 'o', 'gateway', 'k'])
  })

  it('lists nothing for a text without variables', async () => {
    expect(usedVariables("SELECT 'a@b.c', @end_dt, @runtime_stage, @model_kind_name, l @> r")).toEqual(new Set())
  })

  it('tells whether the time matters', async () => {
    expect(usesTime('SELECT @Start_DS')).toBe(true)
    expect(usesTime("SELECT @VAR('a', @execution_ts)")).toBe(true)
    expect(usesTime('SELECT t_@{end_ds}')).toBe(true)
    expect(usesTime("SELECT @this_model, 'x @start_ds' -- @start_ds")).toBe(false)
  })

  it('lists what expanding would call undefined', async () => {
    const text = `SELECT @EACH([1], (p, q) -> @p + @nope5 + t_@{q}), @v, @nope, c_@{nope2}, "me@home", @start_ds, @schemas, @VAR('nope3', @nope4)`
    expect([...undefinedVariables(text, full, place)]).toEqual(['nope5', 'nope', 'nope2', 'nope4'])
  })
})
