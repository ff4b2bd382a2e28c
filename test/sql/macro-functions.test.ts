import { afterAll, describe, expect, it } from 'vitest'
import { MillraceError } from '../../src/errors.ts'
import { createMacroHost } from '../../src/project/macro-host.ts'
import { createSqlParser } from '../../src/project/sql-parser.ts'
import { expandMacros, expandStatement } from '../../src/sql/macros.ts'
import type { MacroEnvironment } from '../../src/sql/macros.ts'
import type { ProjectMacro } from '../../src/sql/project-macro.ts'

const parser = createSqlParser()
afterAll(() => parser.close())

const columns: Readonly<Record<string, Record<string, string>>> = {
  src: { a: 'INTEGER', b: 'VARCHAR', 'c d': 'DATE' },
  dst: { b: 'VARCHAR', a: 'BIGINT' },
}

const environment: MacroEnvironment = {
  start: Date.UTC(2020, 0, 1),
  end: Date.UTC(2020, 0, 3),
  execution: 0,
  variables: { v: 'abc', n: 3, list: ['p', 'q'], shared: 'project' },
  blueprint: { shared: 'blueprint', only: 7 },
  runtimeStage: 'evaluating',
  thisModel: '"db"."t"."m"',
  gateway: 'local',
  modelKind: 'FULL',
  host: createMacroHost(parser, ({ name }) => Promise.resolve(columns[name] ?? null)),
}
const place = { file: 'models/m.sql', line: 10 }

function expand(text: string, overrides: Partial<MacroEnvironment> = {}): Promise<string> {
  return expandMacros(text, { ...environment, ...overrides }, place)
}

async function failure(text: string, overrides: Partial<MacroEnvironment> = {}): Promise<MillraceError> {
  const error: unknown = await expand(text, overrides).then(
    (sql) => new Error(`gave ${sql}`),
    (problem: unknown) => problem,
  )
  if (error instanceof MillraceError) return error
  throw error
}

describe('text around macros', () => {
  it('stays as it is written', async () => {
    expect(await expand('SELECT  a -- @IF(\n , @IF(TRUE,b  +1)\n\n/* x */ FROM t')).toBe(
      'SELECT  a -- @IF(\n , b  +1\n\n/* x */ FROM t',
    )
    expect(await expand('SELECT a FROM t @WHERE(TRUE)   a >  1 -- why\nGROUP BY a')).toBe(
      'SELECT a FROM t WHERE   a >  1 -- why\nGROUP BY a',
    )
  })

  it('loses one comma for each thing that is nothing', async () => {
    const nothing = '@IF(FALSE, x)'
    expect(await expand(`SELECT a, ${nothing}, b`)).toBe('SELECT a , b')
    expect(await expand(`SELECT ${nothing}, b`)).toBe('SELECT  b')
    expect(await expand(`SELECT ${nothing}, ${nothing}, b, ${nothing} FROM t`)).toBe('SELECT   b  FROM t')
    expect(await expand(`SELECT a, ${nothing} AS x FROM t`)).toBe('SELECT a    FROM t')
    expect(await expand(`SELECT f(a, ${nothing}), [${nothing}, b], @EACH([], x -> x), c`)).toBe(
      'SELECT f(a ), [ b] , c',
    )
    expect(await expand(`SELECT a -- why, not\n, ${nothing} FROM t`)).toBe('SELECT a -- why, not\n  FROM t')
  })

  it.each(['a = 1 AND @IF(FALSE, b)', '@IF(FALSE, b) + 1', 'WHERE @IF(FALSE, b)', 'NOT @EACH([], x -> x)'])(
    'cannot do without an operand: %s',
    async (text) => {
      expect(await failure(`SELECT\n  ${text}`)).toMatchObject({ code: 'MACRO', file: 'models/m.sql', line: 11 })
    },
  )

  it('keeps what is pasted apart from what is around it', async () => {
    expect(await expand('SELECT 2-@EACH([-1], x -> x), NOT@IF(TRUE, a)')).toBe('SELECT 2- -1, NOT a')
  })
})

describe('names', () => {
  it('are looked up as a parameter, @DEF, blueprint, variable, in this order', async () => {
    const definitions = [{ text: '@DEF(v, 5)', place }]
    expect(
      await expand("SELECT @v, @VAR('v'), @shared, @VAR('shared'), @BLUEPRINT_VAR('SHARED')", { definitions }),
    ).toBe("SELECT 5, 'abc', 'blueprint', 'project', 'blueprint'")
    expect(await expand('SELECT @EACH([1], v -> @v)', { definitions })).toBe('SELECT 1')
    expect(await expand("SELECT @BLUEPRINT_VAR('v', 1), @BLUEPRINT_VAR('v'), @only")).toBe('SELECT 1, NULL, 7')
  })

  it('of parameters are not those of functions and named arguments', async () => {
    expect(await expand('SELECT @EACH([a], max -> max(max) AS max_@max)')).toBe('SELECT max(a) AS max_a')
  })
})

describe('statements', () => {
  it('are none, one or several', async () => {
    const statement = (text: string): Promise<string[]> => expandStatement(text, environment, place)
    expect(await statement('@DEF(x, 1)')).toEqual([])
    expect(await statement("-- why\n@IF(@runtime_stage = 'creating', DROP TABLE x)")).toEqual([])
    expect(await statement('@EACH([a, b], t -> ANALYZE @t)')).toEqual(['ANALYZE a', 'ANALYZE b'])
    expect(await statement('ANALYZE @this_model')).toEqual(['ANALYZE "db"."t"."m"'])
  })
})

describe('conditions', () => {
  it.each([
    ["@v = 'abc'", true],
    ["@v <> 'abc'", false],
    ['@n >= 3 AND @n < 4', true],
    ["'3' = 3", false],
    ['prod = PROD', true],
    ['prod <> dev', true],
    ['NULL', false],
    ["''", false],
    ["'false'", true],
    ['0', false],
    ['0.5 + 0.5 - 1', false],
    ['list_contains([1, 2], 2)', true],
    ['-- why\n TRUE', true],
  ])('%s is %s', async (condition, truth) => {
    expect(await expand(`@IF(${condition}, 1, 2)`)).toBe(truth ? '1' : '2')
  })

  it('know no columns, and say where', async () => {
    const error = await failure('SELECT a,\n  @IF(b > 1, c)')
    expect(error).toMatchObject({ code: 'MACRO', file: 'models/m.sql', line: 11, column: 3 })
    expect(error.message).toContain("Expected an expression of constants, got 'b > 1'")
    expect((await failure('@FILTER([1, 2], x -> x > y)')).message).toContain('1 > y')
  })

  it('by the thousand are one question each batch', async () => {
    let questions = 0
    const { host } = environment
    if (host === undefined) throw new Error('no host')
    const counted = {
      ...host,
      evaluate: (expressions: readonly string[]) => {
        questions += 1
        return host.evaluate(expressions)
      },
    }
    const items = Array.from({ length: 1000 }, (_, index) => index)
    const sql = await expand(`@FILTER([${items.join(', ')}], x -> x % 2 = 0)`, { host: counted })
    expect(sql.split(', ')).toHaveLength(500)
    expect(questions).toBe(1)
  })
})

describe('@EVAL', () => {
  it.each([
    ['1 + @n', '4'],
    ['-5', '(-5)'],
    ['1 / 2', '0.5'],
    ["upper(@v) || '''s'", "'ABC''s'"],
    ['1 > 2', 'FALSE'],
    ['NULL', 'NULL'],
    ["DATE '2024-01-31' + INTERVAL 1 DAY", "CAST('2024-02-01 00:00:00' AS TIMESTAMP)"],
  ])('of %s is %s', async (expression, value) => {
    expect(await expand(`@EVAL(${expression})`)).toBe(value)
  })
})

describe('@STAR and @UNION', () => {
  it('ask for columns', async () => {
    expect(await expand("SELECT @STAR(s.Src, x, exclude := [A], prefix := 'p_') FROM s.src AS x")).toBe(
      'SELECT CAST("x"."b" AS VARCHAR) AS "p_b", CAST("x"."c d" AS DATE) AS "p_c d" FROM s.src AS x',
    )
    expect(await expand("@UNION('distinct', s.src, s.dst)")).toBe(
      'SELECT CAST("b" AS VARCHAR) AS "b" FROM s.src UNION SELECT CAST("b" AS VARCHAR) AS "b" FROM s.dst',
    )
    expect(await expand('@UNION(FALSE, s.src, s.dst)')).toBe('SELECT CAST("b" AS VARCHAR) AS "b" FROM s.src')
  })

  it('say which columns are missing', async () => {
    expect(await failure('SELECT @STAR(s.other)')).toMatchObject({
      message: "The columns of 's.other' are not known",
      hint: expect.stringContaining('create-external-models') as string,
    })
  })
})

describe('macros of the project', () => {
  const macros: ProjectMacro[] = [
    {
      name: 'show',
      expand: ({ positional, named }, { variables, runtimeStage, dates }) =>
        Promise.resolve([
          JSON.stringify([positional, named]).replaceAll('"', ''),
          `${JSON.stringify(variables['n'])} ${runtimeStage} ${String(dates['start_ds'])}`,
        ]),
    },
    { name: 'twice', expand: async ({ positional: [f] }) => (await f?.call?.('1')) ?? null },
    { name: 'none', expand: () => Promise.resolve(null) },
  ]
  const functions = new Map(macros.map((macro) => [macro.name, macro]))

  it('are given their arguments and the place they stand in', async () => {
    expect(await expand("@SHOW(a + @n, [1, 'x'], b := -2)", { functions })).toBe(
      "[[{sql:a + 3,items:null},{sql:[1, 'x'],items:[1,'x'],value:[1,x]}],{b:{sql:-2,items:null,value:-2}}], 3 evaluating '2020-01-01'",
    )
  })

  it('take lambdas, and give nothing', async () => {
    expect(await expand('SELECT @twice(x -> x + @n), @none(), 2', { functions })).toBe('SELECT 1 + 3 , 2')
  })

  it('are suggested', async () => {
    expect((await failure('@shaw(1)', { functions })).hint).toBe('Did you mean @SHOW(…)?')
  })
})

describe('misuse is an error with file, line and column', () => {
  it.each([
    '@IF(TRUE)',
    '@IF()',
    '@IF(TRUE, 1, 2, 3)',
    '@EACH([1, 2])',
    '@EACH(x -> x)',
    '@EACH([1], (x, y) -> x)',
    '@REDUCE([], (x, y) -> x)',
    '@FILTER(1, 2)',
    '@EVAL()',
    '@EVAL(1 +)',
    '@SQL()',
    "@SQL('@nope')",
    '@VAR(v)',
    '@AND(a := 1)',
    '@GENERATE_SURROGATE_KEY()',
    "@GENERATE_SURROGATE_KEY(a, hash_function := 'x y')",
    '@SAFE_ADD()',
    '@SAFE_DIV(1)',
    "@HAVERSINE_DISTANCE(a, b, c, d, 'au')",
    '@RESOLVE_TEMPLATE(a)',
    '@STAR()',
    '@STAR(s.src, prefx := 1)',
    '@STAR(1 + 1)',
    '@UNION()',
    "@UNION('some', s.src)",
    '@DEDUPLICATE(t, [a], [b])',
    "@DATE_SPINE('hour', a, b)",
    "@DATE_SPINE('day', '2020-01-02', '2020-01-01')",
    "@DATE_SPINE('day', 'x', 'y')",
    '@PIVOT(a)',
    "@PIVOT(a, ['x'], alias := 3)",
    '@WHERE(TRUE)',
    '@WHERE() a > 1',
    '@DEF(x, 1) + 1',
    '@f(1)',
    '@VAR(x -> x)',
  ])('%s', async (text) => {
    const definitions = [{ text: '@DEF(f, (a, b) -> a)', place }]
    const error = await failure(`SELECT 1,\n  ${text}`, { definitions })
    expect(error).toMatchObject({ code: 'MACRO', file: 'models/m.sql', line: 11, column: 3 })
  })

  it('has its hint: the nearest argument', async () => {
    expect((await failure('@STAR(s.src, prefx := 1)')).hint).toBe("Did you mean 'prefix'?")
  })

  it('is found in definitions, too', async () => {
    for (const text of ['@DEF(x)', '@DEF(x, 1, 2)', '@DEF(1, 2)', '@DEF(y, @z + 1)']) {
      expect(await failure('SELECT 1', { definitions: [{ text, place }] })).toMatchObject({ code: 'MACRO', line: 10 })
    }
  })
})

describe('what has no end is ended', () => {
  const define = (...texts: string[]): Partial<MacroEnvironment> => ({
    definitions: texts.map((text) => ({ text, place })),
  })

  it('a macro that calls itself', async () => {
    const error = await failure('SELECT @f(1)', define('@DEF(f, x -> @g(x))', '@DEF(g, x -> @f(x))'))
    expect(error).toMatchObject({ code: 'MACRO', hint: 'Does it call itself?' })
  })

  it('calls that multiply', async () => {
    const doubles = define('@DEF(f, x -> @EACH([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], y -> @x))')
    const nested = (depth: number): string =>
      depth === 0 ? '1' : `@EACH([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], x -> ${nested(depth - 1)})`
    expect(await failure(nested(5).replace('1)', '@f(1))'), doubles)).toMatchObject({ code: 'MACRO' })
  })

  it('text that grows', async () => {
    const nested = (depth: number): string => (depth === 0 ? '1' : `@f(${nested(depth - 1)})`)
    expect(await failure(nested(40), define('@DEF(f, x -> x + x)'))).toMatchObject({ code: 'MACRO' })
  })

  it('calls within calls', async () => {
    expect(await failure(`${'@AND('.repeat(5000)}1${')'.repeat(5000)}`)).toMatchObject({ code: 'MACRO' })
  })
})
