import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MillraceError } from '../../src/errors.ts'
import { auditQuery, BUILT_IN_AUDITS, countQuery } from '../../src/sql/audits.ts'
import type { MacroEnvironment } from '../../src/sql/macros.ts'

interface Answer {
  audit: string
  args: Record<string, string>
  table: string
  failures: number
}

/** What SQLMesh 0.236.4 finds on the same rows. */
const answers = JSON.parse(readFileSync(new URL('../oracles/audits.json', import.meta.url), 'utf8')) as Answer[]

let connection: DuckDBConnection
let instance: DuckDBInstance
beforeAll(async () => {
  instance = await DuckDBInstance.create(':memory:')
  connection = await instance.connect()
  await connection.run(`CREATE TABLE items AS FROM (VALUES
    (1, 1, 'red', 10.0::DOUBLE, '', 'GET', 'a@b.co', 'https://x.io', '6f1d2a8e-9f4c-4b7a-8b1e-0123456789ab', 1, 5),
    (2, 1, 'blue', 20.0, 'x', 'get', 'nobody', 'ftp://x', '6F1D2A8E-9F4C-4B7A-8B1E-0123456789AB', 5, 7),
    (3, 2, 'green', 30.0, 'xyz', 'PUT', 'a@b', 'x.io', 'nope', 6, 9),
    (5, 2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 9, NULL),
    (9, NULL, NULL, 500.0, '  ', '', '', '', '', NULL, 12)
  ) AS t (id, grp, color, price, s, m, email, url, u, lo, hi)`)
  await connection.run('CREATE TABLE "none" AS FROM items WHERE FALSE')
  await connection.run('CREATE TABLE groups AS FROM (VALUES (1, 1), (NULL, 2), (3, 2)) AS t (grp_id, other)')
})
afterAll(() => {
  connection.closeSync()
  instance.closeSync()
})

function failures(name: string, args: Record<string, string>, table = 'items'): Promise<number> {
  const environment: MacroEnvironment = {
    start: null,
    end: null,
    execution: 0,
    variables: { minimum: 2 },
    runtimeStage: 'auditing',
    thisModel: `"main"."${table}"`,
    gateway: null,
    modelKind: 'FULL',
  }
  const place = { file: 'models/a.sql', line: 7 }
  return auditQuery({ name, args, blocking: null, line: 7 }, null, environment, place).then(async (sql) => {
    const reader = await connection.runAndReadAll(countQuery(sql))
    return Number(reader.getRows()[0]?.[0])
  })
}

type Case = [audit: string, args: Record<string, string>, failures: number]

describe('built-in audits', () => {
  it.each(answers.map(({ audit, args, table, failures }) => [audit, args, table, failures] as const))(
    '%s %j of %s finds as many rows as SQLMesh',
    async (audit, args, table, expected) => {
      expect(await failures(audit, args, table)).toBe(expected)
    },
  )

  it('are those of SQLMesh and two more, each with and without _non_blocking', () => {
    const compared = new Set(answers.map(({ audit }) => audit))
    const own = ['kl_divergence', 'relationship', 'cardinality_equality']
    expect(new Set([...compared, ...own])).toEqual(
      new Set([...BUILT_IN_AUDITS].filter((name) => !name.endsWith('_blocking'))),
    )
    expect(BUILT_IN_AUDITS.size).toBe(2 * 31)
  })

  // What SQLMesh cannot run on DuckDB: its query fails, or has no way to say it.
  it.each<Case>([
    ['mutually_exclusive_ranges', { lower_bound_column: 'lo', upper_bound_column: 'hi', condition: 'id < 5' }, 1],
    [
      'mutually_exclusive_ranges',
      {
        lower_bound_column: 'lo',
        upper_bound_column: 'hi',
        condition: 'id < 5',
        partition_clause: 'PARTITION BY id, grp',
      },
      0,
    ],
    [
      'mutually_exclusive_ranges',
      { lower_bound_column: 'lo', upper_bound_column: 'hi', condition: 'id < 5', partition_clause: '(id, grp)' },
      0,
    ],
    ['valid_http_method', { column: 'm', condition: "m <> 'get'" }, 1],
    ['kl_divergence', { source_column: 'grp', target_column: 'grp', threshold: '0' }, 0],
    ['kl_divergence', { source_column: 'grp', target_column: 'id', condition: 'id < 3', threshold: '0.69' }, 1],
    ['kl_divergence', { source_column: 'grp', target_column: 'id', condition: 'id < 3', threshold: '0.7' }, 0],
    ['kl_divergence', { source_column: 'id', target_column: 'grp', threshold: '1000' }, 1],
  ])('%s %j finds %i rows', async (audit, args, expected) => {
    expect(await failures(audit, args)).toBe(expected)
  })
})

describe('relationship', () => {
  it.each<Case>([
    // NULL passes, and a NULL on the other side does not let everything pass.
    ['relationship', { column: 'grp', to: 'groups', to_column: 'grp_id' }, 2],
    ['relationship', { column: 'grp', to: "'main.groups'", to_column: "'other'" }, 0],
    ['relationship', { column: 'grp', to: 'main."groups"', to_column: 'grp_id', condition: 'id <> 3' }, 1],
    ['relationship', { column: 'grp', to: 'groups', to_column: 'other', to_condition: 'grp_id = 1' }, 2],
    ['cardinality_equality', { column: 'grp', to: 'groups', to_column: 'grp_id' }, 3],
    ['cardinality_equality', { column: 'grp', to: 'items', to_column: 'grp', condition: 'id <> 1' }, 1],
    ['cardinality_equality', { column: 'grp', to: 'items', to_column: 'grp' }, 0],
    ['relationship_non_blocking', { column: 'id', to: 'groups', to_column: 'other' }, 3],
  ])('%s %j finds %i rows', async (audit, args, expected) => {
    expect(await failures(audit, args)).toBe(expected)
  })

  it('never takes the other table’s column from the audited one', async () => {
    await expect(failures('relationship', { column: 'grp', to: 'groups', to_column: 'grp' })).rejects.toThrow(
      /"grp" not found/,
    )
  })
})

describe('arguments of built-in audits', () => {
  it.each<[audit: string, args: Record<string, string>, message: string]>([
    ['not_null', { columns: '()' }, "Audit 'not_null' expects something in 'columns', got an empty list"],
    [
      'not_null',
      { columns: '(id, 1)' },
      "Audit 'not_null' expects 'columns' to be a column, or several in parentheses, got (id, 1)",
    ],
    ['forall', { criteria: '[]' }, "Audit 'forall' expects something in 'criteria', got an empty list"],
    [
      'not_constant',
      { column: '3' },
      "Audit 'not_constant' expects 'column' to be a column or an expression of columns, got 3",
    ],
    [
      'number_of_rows',
      { threshold: "'many'" },
      "Audit 'number_of_rows' expects 'threshold' to be a number, got 'many'",
    ],
    ['z_score', { column: 'id' }, "Audit 'z_score' needs the argument 'threshold'"],
    [
      'chi_square',
      { column_a: 'id', column_b: 'grp', critical_value: '1', dependent: '1' },
      "Audit 'chi_square' expects 'dependent' to be TRUE or FALSE, got 1",
    ],
    ['mean_in_range', { column: 'id' }, "Audit 'mean_in_range' expects 'min_v' or 'max_v', got neither"],
    [
      'string_length_between',
      { column: 'id', min_v: 'NULL' },
      "Audit 'string_length_between' expects 'min_v' or 'max_v', got neither",
    ],
    [
      'relationship',
      { column: 'id', to: '(SELECT 1)', to_column: 'x' },
      "Audit 'relationship' expects 'to' to be the name of a model or table, got (SELECT 1)",
    ],
    ['valid_uuid', { colum: 'u' }, "Audit 'valid_uuid' has no argument 'colum'"],
  ])('%s %j is refused where the call stands', async (audit, args, message) => {
    const error: unknown = await failures(audit, args).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(MillraceError)
    expect(error).toMatchObject({ code: 'AUDIT', message, file: 'models/a.sql', line: 7 })
  })

  it('may be computed', async () => {
    expect(await failures('number_of_rows', { threshold: '@minimum * 3' })).toBe(1)
    expect(await failures('number_of_rows', { threshold: '-1' })).toBe(0)
  })
})
