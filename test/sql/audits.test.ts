import { DuckDBInstance } from '@duckdb/node-api'
import type { DuckDBConnection } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MillraceError } from '../../src/errors.ts'
import type { AuditCall, AuditDefinition } from '../../src/project/model.ts'
import { assertAuditSupported, auditIsBlocking, auditQuery, BUILT_IN_AUDITS, countQuery } from '../../src/sql/audits.ts'
import type { MacroEnvironment } from '../../src/sql/macros.ts'

const environment: MacroEnvironment = {
  start: Date.UTC(2020, 0, 1),
  end: Date.UTC(2020, 0, 2),
  execution: Date.UTC(2020, 0, 5),
  variables: { minimum: 2, allowed: ['red', 'blue'] },
  runtimeStage: 'auditing',
  thisModel: '"main"."items"',
  gateway: null,
  modelKind: 'INCREMENTAL_BY_TIME_RANGE',
}

let connection: DuckDBConnection
let instance: DuckDBInstance
beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:')
  connection = await instance.connect()
  await connection.run(`CREATE TABLE items AS FROM (VALUES
    (1, 1, 'red', 10, DATE '2020-01-01'),
    (2, 1, 'blue', 20, DATE '2020-01-01'),
    (3, 2, 'green', 30, DATE '2020-01-02'),
    (4, 2, NULL, NULL, DATE '2020-01-02'),
    (5, NULL, NULL, 50, DATE '2020-01-03')
  ) AS t (id, grp, color, "the price", day)`)
})
afterAll(() => {
  connection.closeSync()
  instance.closeSync()
})

function call(name: string, args: Record<string, string> = {}, blocking: boolean | null = null): AuditCall {
  return { name, args, blocking, line: 1 }
}

function definition(text: string, overrides: Partial<AuditDefinition> = {}): AuditDefinition {
  return {
    name: 'own',
    query: { text, line: 5 },
    blocking: true,
    skip: false,
    standalone: false,
    defaults: {},
    file: 'audits/own.sql',
    line: 1,
    ...overrides,
  }
}

async function count(sql: string | Promise<string>): Promise<number> {
  const reader = await connection.runAndReadAll(countQuery(await sql))
  return Number(reader.getRows()[0]?.[0])
}

/** How many rows an audit of `items` finds bad. */
function failures(
  name: string,
  args: Record<string, string>,
  overrides: Partial<MacroEnvironment> = {},
): Promise<number> {
  return count(auditQuery(call(name, args), null, { ...environment, ...overrides }))
}

async function errorOf(work: () => unknown): Promise<MillraceError> {
  try {
    await work()
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
  throw new Error('nothing failed')
}

type Case = [args: Record<string, string>, failures: number]

describe('not_null', () => {
  it.each<Case>([
    [{ columns: 'id' }, 0],
    [{ columns: 'color' }, 2],
    [{ columns: '(id, grp)' }, 1],
    [{ columns: '[grp, color]' }, 2],
    [{ columns: '("the price",)' }, 1],
    [{ columns: "'the price'" }, 1],
    [{ columns: 'grp + id' }, 1],
    [{ columns: '(grp, color)', condition: "day < '2020-01-02' OR id = 5" }, 1],
    [{ columns: 'color -- why\n', condition: 'id < 4 /* all */' }, 0],
  ])('%j finds %i rows', async (args, expected) => {
    expect(await failures('not_null', args)).toBe(expected)
  })
})

describe('unique_values', () => {
  it.each<Case>([
    [{ columns: 'id' }, 0],
    [{ columns: 'grp' }, 2],
    [{ columns: '(id, grp)' }, 2],
    [{ columns: 'grp', condition: 'id IN (1, 3, 5)' }, 0],
  ])('%j finds %i rows', async (args, expected) => {
    expect(await failures('unique_values', args)).toBe(expected)
  })

  it('counts two NULLs as the same value', async () => {
    expect(await failures('unique_values', { columns: 'color' })).toBe(1)
    expect(await failures('unique_values', { columns: 'color', condition: 'color IS NOT NULL' })).toBe(0)
  })
})

describe('unique_combination_of_columns', () => {
  it.each<Case>([
    [{ columns: '(grp, color)' }, 0],
    [{ columns: '(grp, day)' }, 2],
    [{ columns: '(grp, day)', condition: 'grp = 1' }, 1],
    [{ columns: '(color, color IS NULL)' }, 1],
  ])('%j finds %i combinations', async (args, expected) => {
    expect(await failures('unique_combination_of_columns', args)).toBe(expected)
  })
})

describe('accepted_values', () => {
  it.each<Case>([
    [{ column: 'color', is_in: "('red', 'blue', 'green')" }, 0],
    [{ column: 'color', is_in: "('red', 'blue')" }, 1],
    [{ column: 'color', is_in: "['red']" }, 2],
    [{ column: 'color', is_in: "'red'" }, 2],
    [{ column: 'color', is_in: '@allowed' }, 1],
    [{ column: 'color', is_in: "(SELECT 'blue')" }, 2],
    [{ column: 'color', is_in: "('red')", condition: 'id = 1' }, 0],
  ])('%j finds %i rows', async (args, expected) => {
    expect(await failures('accepted_values', args)).toBe(expected)
  })

  it('still finds rows when the list holds NULL, where SQL and SQLMesh would accept everything', async () => {
    expect(await failures('accepted_values', { column: 'color', is_in: "('red', NULL)" })).toBe(2)
    expect(await failures('accepted_values', { column: 'color', is_in: '(NULL)' })).toBe(3)
  })
})

describe('number_of_rows', () => {
  it.each<Case>([
    [{ threshold: '4' }, 0],
    [{ threshold: '5' }, 1],
    [{ threshold: '0' }, 0],
    [{ threshold: '0', condition: 'id > 5' }, 1],
    [{ threshold: '@minimum + 2' }, 0],
    [{ threshold: '@minimum + 3' }, 1],
  ])('%j fails %i times', async (args, expected) => {
    expect(await failures('number_of_rows', args)).toBe(expected)
  })
})

describe('forall', () => {
  it.each<Case>([
    [{ criteria: '(id > 0, id < 6)' }, 0],
    [{ criteria: '(id > 1, id < 5)' }, 2],
    [{ criteria: '[id > 1 OR grp = 1]' }, 0],
    [{ criteria: 'grp = 1' }, 2],
    [{ criteria: "(color IN ('red', 'blue'))" }, 1],
    [{ criteria: '(id + 1) * (2) > 4' }, 1],
    [{ criteria: '(id > 1, id < 5)', condition: 'id < 5' }, 1],
  ])('%j finds %i rows', async (args, expected) => {
    expect(await failures('forall', args)).toBe(expected)
  })
})

describe('accepted_range', () => {
  it.each<Case>([
    [{ column: 'id', min_v: '1', max_v: '5' }, 0],
    [{ column: 'id', min_v: '1', max_v: '5', inclusive: 'false' }, 2],
    [{ column: 'id', min_v: '2' }, 1],
    [{ column: 'id', max_v: '4', min_v: 'NULL' }, 1],
    [{ column: '"the price"', min_v: '@minimum * 10', inclusive: 'TRUE' }, 1],
    [{ column: 'id', min_v: '-1', max_v: '2 + 1', condition: 'id <> 5' }, 1],
    [{ column: 'day', max_v: '@end_date', inclusive: 'FALSE' }, 5],
  ])('%j finds %i rows', async (args, expected) => {
    expect(await failures('accepted_range', args)).toBe(expected)
  })

  it('needs a bound and a plain inclusive', async () => {
    const place = { file: 'models/a.sql', line: 3 }
    const neither = await errorOf(() => auditQuery(call('accepted_range', { column: 'id' }), null, environment, place))
    expect(neither).toMatchObject({ code: 'AUDIT', file: 'models/a.sql', line: 3 })
    expect(neither.message).toContain("'min_v' or 'max_v'")
    const args = { column: 'id', min_v: '1', inclusive: 'maybe' }
    expect(await errorOf(() => auditQuery(call('accepted_range', args), null, environment))).toMatchObject({
      code: 'AUDIT',
      message: "Audit 'accepted_range' expects 'inclusive' to be TRUE or FALSE, got maybe",
    })
  })
})

describe('built-in audits', () => {
  it('look at a sub-query as they look at a table', async () => {
    const thisModel = "(SELECT * FROM items WHERE day BETWEEN '2020-01-01' AND '2020-01-01')"
    expect(await failures('not_null', { columns: 'color' }, { thisModel })).toBe(0)
    expect(await failures('unique_values', { columns: 'grp' }, { thisModel })).toBe(1)
    expect(await failures('number_of_rows', { threshold: '2' }, { thisModel })).toBe(1)
  })

  it('find nothing in an empty table, but for the number of its rows', async () => {
    const thisModel = '(SELECT * FROM items WHERE FALSE)'
    expect(await failures('not_null', { columns: 'color' }, { thisModel })).toBe(0)
    expect(await failures('number_of_rows', { threshold: '0' }, { thisModel })).toBe(1)
  })

  it('are the same under their non-blocking names', async () => {
    expect(await failures('not_null_non_blocking', { columns: 'color' })).toBe(2)
    expect(BUILT_IN_AUDITS.has('forall_non_blocking')).toBe(true)
  })

  it('name a missing argument and the known ones', async () => {
    expect(await errorOf(() => auditQuery(call('accepted_values', { column: 'id' }), null, environment))).toMatchObject(
      {
        code: 'AUDIT',
        message: "Audit 'accepted_values' needs the argument 'is_in'",
        hint: 'Its arguments are: column, is_in, condition',
      },
    )
  })

  it('name an unknown argument, the nearest and the known ones', async () => {
    expect(
      await errorOf(() => assertAuditSupported(call('not_null', { colums: 'id' }), null, { file: 'm.sql', line: 2 })),
    ).toMatchObject({
      code: 'AUDIT',
      message: "Audit 'not_null' has no argument 'colums'",
      hint: "Did you mean 'columns'? Known: columns, condition",
      file: 'm.sql',
      line: 2,
    })
  })

  it('refuse an empty list', async () => {
    expect(await errorOf(() => auditQuery(call('not_null', { columns: '()' }), null, environment))).toMatchObject({
      code: 'AUDIT',
    })
  })

  it('report an undefined macro in an argument', async () => {
    expect(await errorOf(() => auditQuery(call('not_null', { columns: '@nope' }), null, environment))).toMatchObject({
      code: 'MACRO',
      message: "Macro variable 'nope' is undefined",
    })
  })
})

describe('assertAuditSupported', () => {
  it('accepts an audit by either of its names', async () => {
    expect(() => assertAuditSupported(call('not_null', { columns: 'id' }))).not.toThrow()
    expect(() => assertAuditSupported(call('unique_values_non_blocking', { columns: 'id' }))).not.toThrow()
  })

  it('suggests a name for an unknown audit', async () => {
    const error = await errorOf(() => assertAuditSupported(call('unique_value')))
    expect(error.code).toBe('AUDIT')
    expect(error.hint).toContain("Did you mean 'unique_values'?")
  })
})

describe('audits of the project', () => {
  it('get @this_model and the arguments of the call', async () => {
    const own = definition('SELECT * FROM @this_model AS m WHERE m.@column < @limit -- @nothing here')
    expect(await count(auditQuery(call('own', { column: 'id', limit: '3' }), own, environment))).toBe(2)
  })

  it('take defaults from their definition and prefer the call', async () => {
    const own = definition('SELECT * FROM @this_model WHERE id < @limit', { defaults: { limit: '@minimum' } })
    expect(await count(auditQuery(call('own'), own, environment))).toBe(1)
    expect(await count(auditQuery(call('own', { limit: '4' }), own, environment))).toBe(3)
  })

  it('keep an argument together', async () => {
    const own = definition('SELECT * FROM @this_model WHERE NOT @criterion AND id * @factor > 4')
    const args = { criterion: 'grp = 1 OR color IS NULL', factor: '1 + 1' }
    expect(await count(auditQuery(call('own', args), own, environment))).toBe(1)
  })

  it('splice columns, lists, stars and relations as they are', async () => {
    const own = definition('SELECT @what FROM @rel, @{rel} WHERE @column IN @list AND "@{column}_x" = @\'@column\'')
    const args = { what: '*', rel: 'a.b', column: '"C d"', list: '(1, 2)' }
    expect(await auditQuery(call('own', args), own, environment)).toBe(
      `SELECT * FROM a.b, a.b WHERE "C d" IN (1, 2) AND "C d_x" = 'C d'`,
    )
  })

  it('see variables and the interval', async () => {
    const own = definition('SELECT * FROM @this_model WHERE day = @start_date AND id >= @minimum')
    expect(await count(auditQuery(call('own'), own, environment))).toBe(1)
  })

  it('may be built of a common table expression and end with a comment', async () => {
    const own = definition('WITH bad AS (FROM @this_model WHERE grp IS NULL)\nSELECT * FROM bad; -- done')
    expect(await count(auditQuery(call('own'), own, environment))).toBe(1)
  })

  it('name a missing argument, where the call stands', async () => {
    const own = definition('SELECT * FROM @this_model WHERE id < @limit AND @column > 0')
    expect(
      await errorOf(() => auditQuery(call('own', { column: 'id' }), own, environment, { file: 'm.sql', line: 7 })),
    ).toMatchObject({
      code: 'AUDIT',
      message: "Audit 'own' needs the argument 'limit'",
      hint: 'Its arguments are: column, limit',
      file: 'm.sql',
      line: 7,
    })
  })

  it('refuse an argument their query does not use', async () => {
    const own = definition('SELECT * FROM @this_model WHERE id < @limit')
    expect(await errorOf(() => assertAuditSupported(call('own', { limt: '1' }), own))).toMatchObject({
      code: 'AUDIT',
      message: "Audit 'own' has no argument 'limt'",
      hint: "Did you mean 'limit'? Known: limit",
    })
  })

  it('report errors in their own file', async () => {
    const own = definition('SELECT *\nFROM @this_model WHERE @EECH(@columns, c -> c IS NULL)')
    expect(await errorOf(() => auditQuery(call('own', { columns: '(a)' }), own, environment))).toMatchObject({
      code: 'MACRO',
      file: 'audits/own.sql',
      line: 6,
    })
    const jinja = definition('JINJA_QUERY_BEGIN;\nSELECT {{ x }}\nJINJA_END;')
    expect(await errorOf(() => auditQuery(call('own', { x: '1' }), jinja, environment))).toMatchObject({
      code: 'NOT_YET',
    })
    const interval = definition('SELECT * FROM @this_model WHERE day = @start_ds')
    const full = { ...environment, start: null, end: null, modelKind: 'FULL' }
    expect(await errorOf(() => auditQuery(call('own'), interval, full))).toMatchObject({
      code: 'MACRO',
      file: 'audits/own.sql',
    })
  })

  it('replace a built-in audit of the same name', async () => {
    const own = definition('SELECT * FROM @this_model WHERE id = 1', { name: 'not_null' })
    expect(await count(auditQuery(call('not_null'), own, environment))).toBe(1)
  })
})

describe('auditIsBlocking', () => {
  it('asks the call, then the name, then the definition', async () => {
    const soft = definition('SELECT 1', { blocking: false })
    expect(auditIsBlocking(call('not_null'), null)).toBe(true)
    expect(auditIsBlocking(call('not_null', {}, false), null)).toBe(false)
    expect(auditIsBlocking(call('not_null_non_blocking'), null)).toBe(false)
    expect(auditIsBlocking(call('not_null_non_blocking', {}, true), null)).toBe(true)
    expect(auditIsBlocking(call('own'), soft)).toBe(false)
    expect(auditIsBlocking(call('own', {}, true), soft)).toBe(true)
    expect(auditIsBlocking(call('own'), definition('SELECT 1'))).toBe(true)
  })
})
