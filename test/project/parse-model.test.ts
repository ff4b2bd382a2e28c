import * as fc from 'fast-check'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { formatError, MillraceError, ProjectError } from '../../src/errors.ts'
import { modelDefaultsSchema, parseModelDefaults } from '../../src/project/header/model-defaults.ts'
import type { Model } from '../../src/project/model.ts'
import { assertAuditsKnown, parseModelFile, type ParseContext } from '../../src/project/parse-model.ts'

const QUERY = 'SELECT 1 AS a'
const CONTEXT: ParseContext = {
  file: 'models/m.sql',
  defaults: {},
  defaultCatalog: 'db',
  inferNames: false,
  timeColumnFormat: '%Y-%m-%d',
  variables: {},
}

function parse(source: string, context: Partial<ParseContext> = {}): Model {
  const model = parseModelFile(source, { ...CONTEXT, ...context })
  if (model === null) throw new Error('the file holds a model')
  return model
}

/** A model with these properties besides its name. */
function header(properties: string, context: Partial<ParseContext> = {}): Model {
  return parse(`MODEL (name t.m, ${properties});\n${QUERY}`, context)
}

function refusal(work: () => unknown): MillraceError {
  try {
    work()
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
  throw new Error('it was accepted')
}

describe('names', () => {
  test.each([
    ['"My T"."M x"', 'my t.m x', { catalog: null, schema: 'my t', name: 'm x' }],
    ['DB.t.m', 't.m', { catalog: null, schema: 't', name: 'm' }],
    ['"Db"."T"."M"', 't.m', { catalog: null, schema: 't', name: 'm' }],
    ['other.t.m', 'other.t.m', { catalog: 'other', schema: 't', name: 'm' }],
    ['db.m', 'db.m', { catalog: null, schema: 'db', name: 'm' }],
  ])('%s is %s', (written, name, relation) => {
    expect(parse(`MODEL (name ${written}); ${QUERY}`)).toMatchObject({ name, relation })
  })

  test.each(["'t.m'", 'a.b.c.d', 't.', '.m', 't m', 't.1', '"".m', '(t.m)'])('%s is refused', (written) => {
    expect(refusal(() => parse(`MODEL (\n  name ${written}\n); ${QUERY}`))).toMatchObject({ code: 'MODEL', line: 2 })
  })

  test('a name is inferred from the last three parts of the path where the project says so', () => {
    const inferred = (file: string, source = QUERY) => parse(source, { file, inferNames: true })
    expect(inferred('models/a/b/c/Foo.sql').name).toBe('b.c.foo')
    expect(inferred('models/db/c/foo.sql').name).toBe('c.foo')
    expect(inferred('models/foo.sql')).toMatchObject({ name: 'foo', line: 1, kind: { name: 'VIEW' } })
    expect(inferred('models/a/foo.sql', `MODEL (kind FULL); ${QUERY}`)).toMatchObject({
      name: 'a.foo',
      kind: { name: 'FULL' },
    })
    expect(inferred('models/a/foo.sql', `MODEL (name x.y); ${QUERY}`).name).toBe('x.y')
    expect(refusal(() => parse(`MODEL (kind FULL); ${QUERY}`)).message).toContain("expected 'name'")
    expect(refusal(() => parse(QUERY)).message).toContain('expected MODEL (…)')
  })

  test('dependencies are normalized, without duplicates and without the model itself', () => {
    expect(header('depends_on [DB.x."Y", z, \'x.y\', T.m]').depends_on).toEqual(['x.y', 'z'])
    expect(header('depends_on x.y').depends_on).toEqual(['x.y'])
    expect(header('depends_on ()').depends_on).toEqual([])
  })
})

describe('values', () => {
  test('lists may be written with brackets of both sorts, with a trailing comma, or bare', () => {
    for (const written of ['a', '(a)', '[a]', '(a,)', "'a'", '"a"']) {
      expect(header(`tags ${written}`).tags).toEqual(['a'])
      expect(header(`kind FULL, grains ${written === '"a"' ? 'a' : written}`).grains).toEqual(['a'])
    }
    expect(header("tags (a, 'b c', [x])").tags).toEqual(['a', 'b c', '[x]'])
    expect(header('grain (a, b)').grains).toEqual(['(a, b)'])
    expect(header('grains (a, (b, c))').grains).toEqual(['a', '(b, c)'])
  })

  test('strings and identifiers are interchangeable for scalars', () => {
    const model = header(
      `cron "@weekly", start "2023-01-01", END 20240101, owner jen, enabled 'false', formatting "no", gateway Local,
       stamp 'x', physical_properties ('a.b' = [1, 2], c = 'x'), virtual_environment_mode DEV_ONLY`,
    )
    expect(model).toMatchObject({
      cron: '@weekly',
      interval_unit: 'day',
      start: '2023-01-01',
      end: '20240101',
      owner: 'jen',
      enabled: false,
      formatting: false,
      gateway: 'local',
      stamp: 'x',
      physical_properties: { 'a.b': '[1, 2]', c: "'x'" },
      virtual_environment_mode: 'dev_only',
    })
  })

  test('types are kept as written with single spaces, columns in lower case', () => {
    const columns =
      "columns (\n  A  TIMESTAMP   WITH /* c */ TIME ZONE, \"B c\" STRUCT(x INT,\n y VARCHAR[]), e ENUM('x y', 'z'), l INT[3])"
    expect(header(columns).columns).toEqual({
      a: 'TIMESTAMP WITH TIME ZONE',
      'b c': 'STRUCT(x INT, y VARCHAR[])',
      e: "ENUM('x y', 'z')",
      l: 'INT[3]',
    })
    expect(header('columns ()').columns).toBeNull()
    for (const wrong of [
      "columns (a INT 'x')",
      'columns (a)',
      'columns (a INT, A INT)',
      'columns a INT',
      'columns (a INT, , b INT)',
    ]) {
      expect(refusal(() => header(wrong)).code).toBe('MODEL')
    }
  })

  test('audit arguments stay SQL text, and blocking is taken out of them', () => {
    const [first, second] = header(
      'audits (F(A := (x,  y), criteria := a > @min), not_null(columns = [a], BLOCKING = FALSE,))',
      { variables: { min: 1 } },
    ).audits
    expect(first).toEqual({ name: 'f', args: { a: '(x,  y)', criteria: 'a > @min' }, blocking: null, line: 1 })
    expect(second).toEqual({ name: 'not_null', args: { columns: '[a]' }, blocking: false, line: 1 })
    expect(header('audits ()').audits).toEqual([])
    for (const wrong of ['audits (f(1))', 'audits (f(a := 1) g)', 'audits (f(a := 1, a := 2))', 'audits (1)']) {
      expect(refusal(() => header(wrong)).code).toBe('MODEL')
    }
  })

  test('variables stand for values, and for parts of names', () => {
    const variables = { Schema: 'prod', when: '@hourly', tags: ['a', 'b'], on: false, n: 7 }
    const source = `MODEL (
      name @{schema}_x.m_@{n}, cron @when, tags @tags, enabled @on, depends_on (@schema.y, "@{schema}".z), owner @VAR('who', jen),
      kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size @n), audits (number_of_rows(threshold := @n)), description 'a @n');
      ${QUERY}`
    expect(parse(source, { variables })).toMatchObject({
      name: 'prod_x.m_7',
      cron: '@hourly',
      tags: ['a', 'b'],
      enabled: false,
      depends_on: ['prod.y', 'prod.z'],
      owner: 'jen',
      kind: { batch_size: 7 },
      audits: [{ args: { threshold: '@n' } }],
      description: 'a @n',
    })
    expect(refusal(() => header('owner @ows', { variables: { own: 1 } }))).toMatchObject({
      code: 'MACRO',
      hint: expect.stringContaining("Did you mean 'own'?"),
    })
    expect(refusal(() => header('cron @hourly'))).toMatchObject({ code: 'MACRO', hint: "quote it: cron '@hourly'" })
    expect(refusal(() => header('owner @IF(1, a)')).code).toBe('NOT_YET')
    expect(refusal(() => header('@my_properties()')).code).toBe('NOT_YET')
  })
})

describe('descriptions', () => {
  test('the comments before MODEL describe it, those inside do not', () => {
    const source = `-- one\n/* two\n three */\n--four\nMODEL (name t.m /* x */, -- y\n kind FULL); ${QUERY}`
    expect(parse(source)).toMatchObject({ description: 'one\ntwo\n three\nfour', line: 5 })
    expect(header('kind FULL').description).toBeNull()
  })

  test('the last comment of each projection describes its column', () => {
    const source = `MODEL (name t.m);
      WITH c AS (SELECT 1 AS a -- not this
      )
      SELECT -- nor this
        t.a, -- first
        -- above
        b + 1 AS "B x", /* one */ /* two */
        sum(c /* inner */) total -- the total
        , d IS DISTINCT FROM e AS f -- differs
        , * -- all
      FROM t -- table`
    expect(parse(source).column_descriptions).toEqual({ a: 'first', 'b x': 'two', total: 'the total', f: 'differs' })
    const own = parse(source.replace('name t.m', "name t.m, column_descriptions (A = 'mine')"))
    expect(own.column_descriptions).toEqual({ a: 'mine' })
  })
})

describe('kinds', () => {
  test('a time column has a format: its own, or the project’s', () => {
    const kind = (written: string) => header(`kind INCREMENTAL_BY_TIME_RANGE (time_column ${written})`)
    expect(kind('ds').kind.time_column).toEqual({ column: 'ds', format: '%Y-%m-%d' })
    expect(kind('("Ds", \'%Y%m%d\')').kind.time_column).toEqual({ column: 'ds', format: '%Y%m%d' })
    const error = refusal(() => kind("(ds, 'YYYY-MM-dd')"))
    expect(error).toMatchObject({
      code: 'MODEL',
      line: 1,
      hint: expect.stringContaining("'%Y-%m-%d', not 'YYYY-MM-dd'"),
    })
    expect(error.message).toContain("'YYYY-MM-dd'")
  })

  test('a table over time is partitioned by its time column first unless the kind says no', () => {
    const partitions = (kind: string, rest = '') =>
      header(`kind INCREMENTAL_BY_TIME_RANGE (time_column ds${kind})${rest}`).partitioned_by
    expect(partitions('')).toEqual(['ds'])
    expect(partitions('', ', partitioned_by (region, b)')).toEqual(['ds', 'region', 'b'])
    expect(partitions('', ", partitioned_by (date_trunc('month', DS))")).toEqual(["date_trunc('month', DS)"])
    expect(partitions(', partition_by_time_column false', ', partitioned_by region')).toEqual(['region'])
  })

  test('a seed has a path and settings, and may have statements around its rows', () => {
    const model =
      parse(`MODEL (name t.s, kind SEED (path '../seeds/a.csv', csv_settings (delimiter = ';', keep_default_na = false, na_values = ('-', 'x'))));
      SET a = 1; @INSERT_SEED(); SET b = 2`)
    expect(model).toMatchObject({
      kind: {
        name: 'SEED',
        path: '../seeds/a.csv',
        batch_size: 1000,
        csv_settings: { delimiter: ';', keep_default_na: false, na_values: "('-', 'x')" },
      },
      query: null,
      pre: [{ text: 'SET a = 1' }],
      post: [{ text: 'SET b = 2' }],
    })
    expect(parse("MODEL (name t.s, kind SEED (path 'a.csv'))").query).toBeNull()
    expect(refusal(() => parse(`MODEL (name t.s, kind SEED (path 'a.csv')); ${QUERY}`)).message).toContain('no query')
    expect(refusal(() => parse('MODEL (name t.s, kind SEED)')).message).toContain("expected 'path'")
  })

  test('when_matched may go without brackets and keeps its own commas', () => {
    const { kind } = header(
      'kind INCREMENTAL_BY_UNIQUE_KEY (unique_key a, when_matched WHEN MATCHED THEN UPDATE SET target.b = source.b, target.c = 1, lookback 2)',
    )
    expect(kind).toMatchObject({
      when_matched: 'WHEN MATCHED THEN UPDATE SET target.b = source.b, target.c = 1',
      lookback: 2,
    })
  })

  test.each([
    ['kind FUL', "Did you mean 'FULL'?"],
    ['kind TABLE', 'Known: FULL, VIEW'],
    ['kind FULL (a 1)', 'write kind FULL'],
    ['kind INCREMENTAL_BY_TIME_RANGE', 'time_column'],
    ['kind INCREMENTAL_BY_TIME_RANGE (time_colum ds)', "Did you mean 'time_column'?"],
    ['kind INCREMENTAL_BY_TIME_RANGE (time_column ds, unique_key a)', 'It belongs to INCREMENTAL_BY_UNIQUE_KEY'],
    ['kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 0)', null],
    ['kind INCREMENTAL_BY_TIME_RANGE (time_column ds, lookback 1.5)', null],
    ['kind INCREMENTAL_BY_TIME_RANGE (time_column ds, forward_only maybe)', null],
    ['kind INCREMENTAL_BY_TIME_RANGE (time_column ds, on_additive_change alow)', "Did you mean 'ALLOW'?"],
    ['kind INCREMENTAL_BY_TIME_RANGE (time_column = ds)', "without '='"],
    ['kind INCREMENTAL_BY_TIME_RANGE (time_column ds), columns (dss DATE)', "Did you mean 'dss'?"],
    ['kind INCREMENTAL_BY_UNIQUE_KEY (unique_key a, batch_concurrency 2)', 'remove it'],
    ['kind INCREMENTAL_BY_PARTITION', 'write partitioned_by'],
    ['kind INCREMENTAL_UNMANAGED (insert_overwrite true)', 'write partitioned_by'],
    ['kind SCD_TYPE_2_BY_COLUMN (unique_key a)', 'columns'],
    ['kind EXTERNAL', 'external_models.yaml'],
    ['kind EMBEDDED, audits (f)', 'remove them'],
    ['kind MANAGED', 'Known: FULL'],
    ['time_column ds', 'It is an option of kind INCREMENTAL_BY_TIME_RANGE'],
    ['clustered_by a', 'kind FULL'],
  ])('%s is refused', (properties, hint) => {
    const error = refusal(() => header(properties))
    expect(error).toMatchObject({ code: 'MODEL', file: 'models/m.sql', line: 1 })
    if (hint !== null) expect(error.hint).toContain(hint)
  })

  test('a custom kind is Python', () => {
    expect(refusal(() => header("kind CUSTOM (materialization 'x')")).code).toBe('PYTHON')
  })
})

describe('properties', () => {
  test.each([
    ['frobnicate 1', 'frobnicate'],
    ['default_catalog x', 'default_catalog'],
    ['interval_unit days', 'days'],
    ["cron '* * *'", 'cron'],
    ["cron '@hourly', interval_unit day", 'interval unit'],
    ["cron_tz 'Europe/Nowhere'", 'Nowhere'],
    ["end '2024-01-01'", 'start'],
    ["start '2024-02-01', end '2024-01-01'", 'after the start'],
    ["start 'sometime'", 'sometime'],
    ['start 2024-01-01', '2024-01-01'],
    ['physical_version 3', 'forward-only'],
    ['kind FULL, table_properties (a = 1), physical_properties (a = 1)', 'both'],
    ['owner', 'value after'],
    ['owner a, owner b', 'twice'],
    ["'owner' a", 'name of a MODEL property'],
    ['owner a kind FULL', 'owner'],
    ['physical_properties a', 'key = value'],
    ["enabled 'perhaps'", 'TRUE or FALSE'],
  ])('%s is refused', (properties, message) => {
    const error = refusal(() => header(properties))
    expect(error).toMatchObject({ code: 'MODEL', file: 'models/m.sql', line: 1 })
    expect(error.message).toContain(message)
  })

  test('an unknown property names the nearest one, and all problems are reported at once', () => {
    const error = refusal(() =>
      parse(`MODEL (name 't.m',\n knd FULL,\n cron '@dayly',\n start 2024-01-01);\nVALUES (1)`),
    )
    expect(error).toBeInstanceOf(ProjectError)
    expect((error as ProjectError).problems.map(({ line }) => line)).toEqual([1, 2, 3, 4, 5])
    expect(formatError(error)).toContain("Did you mean 'kind'?")
    expect(formatError(error)).toContain("Did you mean '@daily'?")
  })

  test('a misspelled property that is required is one problem', () => {
    expect(refusal(() => parse(`MODEL (nme t.m);\n${QUERY}`))).toMatchObject({
      code: 'MODEL',
      hint: expect.stringContaining("Did you mean 'name'?"),
    })
  })

  test('a dialect other than DuckDB’s is refused with its line, unreadable text included', () => {
    expect(header('dialect DuckDB').dialect).toBe('duckdb')
    const foreign = "MODEL (\n  name t.m,\n  dialect Snowflake\n);\nSELECT 'it\\'s' AS a"
    expect(refusal(() => parse(foreign))).toMatchObject({ code: 'DIALECT', line: 3 })
    const inherited = { defaults: parseModelDefaults({ dialect: 'bigquery' }) }
    expect(refusal(() => header('kind FULL', inherited))).toMatchObject({ code: 'DIALECT', line: 1 })
    expect(header('dialect duckdb', inherited).dialect).toBe('duckdb')
  })

  test('blueprints wait for a later version', () => {
    expect(refusal(() => header('blueprints ((a := 1))'))).toMatchObject({ code: 'NOT_YET', line: 1 })
  })
})

describe('defaults of the project', () => {
  const defaults = parseModelDefaults({
    kind: 'full',
    cron: '@hourly',
    owner: 'team',
    start: 20240101,
    enabled: 'true',
    audits: ['number_of_rows(threshold := 0)'],
    physical_properties: { a: 1, b: 'x', c: [true, null] },
    on_destructive_change: 'warn',
    batch_concurrency: 4,
    pre_statements: ['SET p = 1;'],
    post_statements: 'SET q = 1',
  })

  test('scalars lose to the header, properties merge by key, audits and statements come first', () => {
    const model = parse(
      `MODEL (name t.m, owner me, audits (f), physical_properties (a = NULL, d = 2)); SET x = 1; ${QUERY}; SET y = 1`,
      { defaults },
    )
    expect(model).toMatchObject({
      kind: { name: 'FULL' },
      cron: '@hourly',
      interval_unit: 'hour',
      owner: 'me',
      start: '20240101',
    })
    expect(model.physical_properties).toEqual({ b: "'x'", c: '(TRUE, NULL)', d: '2' })
    expect(model.audits.map(({ name }) => name)).toEqual(['number_of_rows', 'f'])
    expect(model.pre.map(({ text }) => text)).toEqual(['SET p = 1', 'SET x = 1'])
    expect(model.post.map(({ text }) => text)).toEqual(['SET q = 1', 'SET y = 1'])
  })

  test('options of kinds go only into kinds that have them and do not set them', () => {
    const kind = (written: string) => header(`kind ${written}`, { defaults }).kind
    expect(kind('FULL')).toEqual({ name: 'FULL' })
    expect(kind('INCREMENTAL_BY_UNIQUE_KEY (unique_key a)')).toMatchObject({
      on_destructive_change: 'WARN',
      batch_concurrency: 1,
    })
    expect(kind('INCREMENTAL_BY_TIME_RANGE (time_column ds)')).toMatchObject({
      on_destructive_change: 'WARN',
      batch_concurrency: 4,
    })
    expect(kind('INCREMENTAL_BY_TIME_RANGE (time_column ds, on_destructive_change allow)')).toMatchObject({
      on_destructive_change: 'ALLOW',
    })
  })

  test('a kind may be a mapping', () => {
    const raw = {
      kind: { name: 'incremental_by_time_range', time_column: { column: 'ds', format: '%Y' }, lookback: 2 },
    }
    expect(header('owner x', { defaults: parseModelDefaults(raw) }).kind).toMatchObject({
      name: 'INCREMENTAL_BY_TIME_RANGE',
      time_column: { column: 'ds', format: '%Y' },
      lookback: 2,
    })
  })

  test('an unknown key lists the known ones, a wrong value names its key', () => {
    const error = refusal(() => parseModelDefaults({ ownr: 'x' }))
    expect(error.message).toContain("Did you mean 'owner'?")
    expect(error.message).toContain('storage_format')
    expect(refusal(() => parseModelDefaults({ enabled: 3 })).message).toContain('model_defaults.enabled')
    expect(modelDefaultsSchema.safeParse({ interval_unit: 'days' }).success).toBe(false)
    expect(parseModelDefaults(null)).toEqual({})
  })
})

describe('the body', () => {
  test('statements before the query come before it, those after it after, as written', () => {
    const model = parse(`MODEL (name t.m);
-- sets
SET x = ';';
CREATE TEMP TABLE y AS SELECT $$ ; $$ AS a; -- the query
SELECT 1 /* ; */ AS a,
  (2) AS ";"
;;
CHECKPOINT;
ON_VIRTUAL_UPDATE_BEGIN;
SET v = 1;
JINJA_STATEMENT_BEGIN; SET {{ x }}; JINJA_END;
ON_VIRTUAL_UPDATE_END;
INSERT INTO z WITH c AS (SELECT 1) SELECT * FROM c;`)
    expect(model.pre).toEqual([
      { text: "-- sets\nSET x = ';'", line: 2 },
      { text: 'CREATE TEMP TABLE y AS SELECT $$ ; $$ AS a', line: 4 },
    ])
    expect(model.query).toEqual({ text: '-- the query\nSELECT 1 /* ; */ AS a,\n  (2) AS ";"', line: 4 })
    expect(model.post.map(({ text, line }) => [text, line])).toEqual([
      ['CHECKPOINT', 8],
      ['INSERT INTO z WITH c AS (SELECT 1) SELECT * FROM c', 13],
    ])
    expect(model.on_virtual_update.map(({ text }) => text)).toEqual([
      'SET v = 1',
      'JINJA_STATEMENT_BEGIN; SET {{ x }}; JINJA_END;',
    ])
  })

  test.each([
    QUERY,
    'WITH c AS (SELECT 1 AS a) SELECT * FROM c',
    'WITH RECURSIVE c(a) AS MATERIALIZED (SELECT 1) FROM c',
    'FROM t SELECT a',
    'FROM t',
    '(SELECT 1)',
    '((SELECT 1) UNION (SELECT 2)) LIMIT 1',
    'VALUES (1) UNION ALL SELECT 2',
    'PIVOT t ON a USING sum(b)',
    'UNPIVOT t ON a, b',
    'TABLE t',
    'SUMMARIZE t',
    'DESCRIBE t',
    "@UNION('all', a, b)",
    '@my_query(1)',
    '@WITH(TRUE) c AS (SELECT 1) SELECT * FROM c',
    'JINJA_QUERY_BEGIN; SELECT {{ "it\'s;" }} JINJA_END',
  ])('%s is a query', (query) => {
    const model = parse(`MODEL (name t.m);\n${query};`)
    expect(model.query?.text.replace(/;$/, '')).toBe(query)
    expect(model.query?.line).toBe(2)
    expect([...model.pre, ...model.post]).toEqual([])
  })

  test.each([
    ['VALUES (1, 2)', 2],
    ['(VALUES (1))', 2],
    ['', 1],
    ['INSERT INTO x SELECT 1', 2],
    ['WITH c AS (SELECT 1) INSERT INTO x SELECT * FROM c', 2],
    ['SET x = 1; @macro()', 2],
    ['ON_VIRTUAL_UPDATE_BEGIN; SELECT 1; ON_VIRTUAL_UPDATE_END', 1],
  ])('%s is no query', (body, line) => {
    const error = refusal(() => parse(`MODEL (name t.m);\n${body}`))
    expect(error).toMatchObject({ code: 'MODEL', line })
    expect(`${error.message} ${error.hint}`).toMatch(/SELECT .*JINJA_QUERY/)
  })

  test('two queries, two headers, unclosed blocks and stray brackets are refused where they are', () => {
    expect(refusal(() => parse(`MODEL (name t.m);\n${QUERY};\n${QUERY}`))).toMatchObject({ code: 'MODEL', line: 3 })
    expect(refusal(() => parse(`MODEL (name t.m);\n${QUERY};\nMODEL (name t.n);`))).toMatchObject({
      code: 'MODEL',
      line: 3,
    })
    expect(refusal(() => parse(`${QUERY};\nMODEL (name t.m)`)).hint).toContain('line 2')
    expect(refusal(() => parse(`MODEL (name t.m);\n${QUERY};\nON_VIRTUAL_UPDATE_BEGIN;`))).toMatchObject({ line: 3 })
    expect(refusal(() => parse(`MODEL (name t.m;\n${QUERY};`)).message).toContain("')'")
    expect(refusal(() => parse(`MODEL name t.m;\n${QUERY}`)).message).toBe("expected '(' after MODEL; got 'name'")
    expect(refusal(() => parse(`MODEL;\n${QUERY}`)).message).toBe("expected '(' after MODEL; got nothing")
    expect(refusal(() => parse(`MODEL (name t.m));\n${QUERY};`)).message).toContain("got ')'")
    expect(refusal(() => parse(`MODEL (name t.m)\nJINJA_QUERY_BEGIN; SELECT 1 JINJA_END;`)).message).toContain("';'")
    expect(refusal(() => parse("MODEL (name t.m);\nSELECT 'a"))).toMatchObject({
      code: 'SQL_SYNTAX',
      line: 2,
      column: 8,
    })
  })

  test('a file of comments holds no model', () => {
    for (const source of ['', ' \n', '-- x', '/* x */ ;', '\uFEFF']) expect(parseModelFile(source, CONTEXT)).toBeNull()
  })

  test('an inline audit takes the next statement and is known to its model', () => {
    const model = parse(`MODEL (name t.m, audits (mine, mine_non_blocking));
${QUERY};
AUDIT (name MINE, skip true, defaults (n = 1 + 1));
SELECT * FROM @this_model WHERE a > @n;
SET x = 1`)
    expect(model.inline_audits).toEqual([
      {
        name: 'mine',
        query: { text: 'SELECT * FROM @this_model WHERE a > @n', line: 4 },
        blocking: true,
        skip: true,
        standalone: false,
        defaults: { n: '1 + 1' },
        file: 'models/m.sql',
        line: 3,
      },
    ])
    expect(model.post.map(({ text }) => text)).toEqual(['SET x = 1'])
    expect(() => assertAuditsKnown(model, new Set())).not.toThrow()
    expect(refusal(() => assertAuditsKnown(header('audits (not_nul)'), new Set(['not_null'])))).toMatchObject({
      code: 'AUDIT',
      file: 'models/m.sql',
      hint: "Did you mean 'not_null'?",
    })
    expect(refusal(() => parse(`MODEL (name t.m); ${QUERY}; AUDIT (name x);`)).code).toBe('AUDIT')
  })
})

describe('any input', () => {
  const folder = new URL('../oracles/kinds/models/', import.meta.url)
  const corpus = [
    ...readdirSync(folder).map((name) => readFileSync(new URL(name, folder), 'utf8')),
    ...(
      JSON.parse(readFileSync(new URL('../oracles/header.json', import.meta.url), 'utf8')) as { source: string }[]
    ).map(({ source }) => source),
  ]
  const piece = fc.constantFrom(
    ...'( ) [ ] ; , \' " @ @{ } $$ -- /* */ . := = % \\ 1 NULL @v @VAR( MODEL( AUDIT( JINJA_END; __proto__'.split(' '),
    ...'MODEL (|kind |name |columns |audits |constructor |SELECT |JINJA_QUERY_BEGIN;|ON_VIRTUAL_UPDATE_BEGIN;'.split(
      '|',
    ),
    '\n',
    'é',
    '\u0000',
    '\uFEFF',
  )
  const context = { ...CONTEXT, variables: { v: [1, 'a', { b: null }] } }

  function readsOrReports(source: string, more: Partial<ParseContext> = {}): void {
    const started = performance.now()
    try {
      parseModelFile(source, { ...context, ...more })
    } catch (error) {
      expect(error).toBeInstanceOf(MillraceError)
      const problems = error instanceof ProjectError ? error.problems : [error as MillraceError]
      for (const problem of problems) expect(problem).toMatchObject({ file: 'models/m.sql', line: expect.any(Number) })
    }
    expect(performance.now() - started).toBeLessThan(5_000)
  }

  test('a changed model is read or refused with a place', () => {
    const edits = fc.array(
      fc.record({
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        remove: fc.nat(12),
        insert: fc.oneof(piece, fc.constant('')),
      }),
      { minLength: 1, maxLength: 6 },
    )
    fc.assert(
      fc.property(fc.constantFrom(...corpus), edits, fc.boolean(), (source, changes, inferNames) => {
        let text = source
        for (const { at, remove, insert } of changes) {
          const place = Math.floor(at * text.length)
          text = text.slice(0, place) + insert + text.slice(place + remove)
        }
        readsOrReports(text, { inferNames })
      }),
      { numRuns: 1500 },
    )
  })

  test('random pieces of syntax are read or refused with a place', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 40 }), (pieces) =>
        readsOrReports(pieces.join('')),
      ),
      { numRuns: 1000 },
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) =>
        readsOrReports(`MODEL (name t.m, ${pieces.join('')}); ${QUERY}`),
      ),
      { numRuns: 1000 },
    )
  })

  test('deep brackets do not overflow', () => {
    readsOrReports(`MODEL (name t.m); ${'('.repeat(50_000)}SELECT 1${')'.repeat(50_000)}`)
    readsOrReports(`MODEL (name t.m, tags ${'['.repeat(50_000)}`)
    readsOrReports(`MODEL (name t.m, tags ${'['.repeat(20_000)}a${']'.repeat(20_000)}); ${QUERY}`)
  })
})
