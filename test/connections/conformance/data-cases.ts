/** Statements and what they answer. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { classifySqlError } from '../../../src/connections/sql-errors.ts'
import { errorOf, openSubject, promisesOf, type Subject } from './subject.ts'

const TYPES: [type: string, literal: string, json: unknown][] = [
  ['BOOLEAN', 'true', true],
  ['INTEGER', '-7', -7],
  ['BIGINT', '9007199254740993', '9007199254740993'],
  ['DOUBLE', '0.1', 0.1],
  ['DECIMAL(9,2)', '1.50', '1.50'],
  ['VARCHAR', "'it''s ä€'", "it's ä€"],
  ['BLOB', "'\\x00\\xFF'", '\\x00\\xFF'],
  ['DATE', "'2024-02-29'", '2024-02-29'],
  ['TIME', "'03:04:05.000006'", '03:04:05.000006'],
  ['TIMESTAMP', "'2024-01-02 03:04:05.000006'", '2024-01-02 03:04:05.000006'],
  ['TIMESTAMP WITH TIME ZONE', "'2024-01-02 03:04:05+02'", '2024-01-02 01:04:05+00'],
  ['UUID', "'210a5253-f868-4eea-bc18-94889d48ccf8'", '210a5253-f868-4eea-bc18-94889d48ccf8'],
  ['INTEGER[]', '[1, NULL]', [1, null]],
  ['STRUCT(a INTEGER, b VARCHAR[])', "{'a': 1, 'b': ['x']}", { a: 1, b: ['x'] }],
  ['MAP(VARCHAR, INTEGER)', "MAP {'k': 1}", [{ key: 'k', value: 1 }]],
]

export function dataCases(subject: Subject): void {
  test('rows come back as they were written, in the types of their columns', async () => {
    const { lease } = await openSubject(subject)
    await using one = await lease()
    await one.run(`CREATE TABLE t (${TYPES.map(([type], n) => `c${n} ${type}`).join(', ')})`)
    await one.run(`INSERT INTO t VALUES (${TYPES.map(([, literal]) => literal).join(', ')})`)
    const row = Object.fromEntries(TYPES.map(([, , json], n) => [`c${n}`, json]))
    expect(await one.rows('FROM t')).toEqual([row])
    const described = await one.rows<{ column_type: string }>('SELECT column_type FROM (DESCRIBE t)')
    expect(described.map(({ column_type: type }) => type)).toEqual(TYPES.map(([type]) => type))
  })

  test('many rows come back whole and in their order', async () => {
    const { lease } = await openSubject(subject)
    await using one = await lease()
    await one.run("CREATE TABLE t AS SELECT range AS n, 'row ' || range AS text FROM range(100_000)")
    const rows = await one.rows<{ n: number; text: string }>('FROM t ORDER BY n')
    expect(rows.findIndex(({ n, text }, index) => n !== index || text !== `row ${index}`)).toBe(-1)
    expect(rows.length).toBe(100_000)
  })

  test('values are bound by place and by name', async () => {
    const { lease } = await openSubject(subject)
    await using one = await lease()
    await one.run('CREATE TABLE t (a VARCHAR, b BIGINT, c DOUBLE)')
    await one.run('INSERT INTO t VALUES ($1, $2, $3)', ["it's\n;", 2n ** 40n, 0.5])
    await one.run('INSERT INTO t SELECT $text, $number, NULL', { text: null, number: -1 })
    expect(await one.rows('SELECT * FROM t WHERE b = $1 -- that one', [2n ** 40n])).toEqual([
      { a: "it's\n;", b: 2 ** 40, c: 0.5 },
    ])
    expect(await one.rows('SELECT count(*) AS n FROM t WHERE a IS NULL AND b < $below', { below: 0 })).toEqual([
      { n: 1 },
    ])
  })

  test('times are in UTC', async () => {
    const { lease } = await openSubject(subject)
    await using one = await lease()
    expect(
      await one.rows("SELECT current_setting('TimeZone') AS zone, TIMESTAMPTZ '2024-01-01 00:00:00'::TIMESTAMP AS at"),
    ).toEqual([{ zone: 'UTC', at: '2024-01-01 00:00:00' }])
  })

  const { localFiles } = promisesOf(subject)
  test(`a file of the project is read by ${localFiles ? 'any statement' : 'an upload'} (localFiles: ${localFiles})`, async () => {
    const { lease, harness } = await openSubject(subject)
    mkdirSync(join(harness.folder, 'data'))
    writeFileSync(join(harness.folder, 'data/a.csv'), 'x,y\n1,a\n2,b\n')
    await using one = await lease()
    for (const _ of ['created', 'replaced']) await one.upload('t', "FROM 'data/a.csv' WHERE x > 1")
    expect(await one.rows('FROM t')).toEqual([{ x: 2, y: 'b' }])
    if (localFiles) expect(await one.rows("SELECT count(*) AS n FROM 'data/*.csv'")).toEqual([{ n: 2 }])
  })

  const { viewColumnComments } = promisesOf(subject)
  test(`comments on tables, their columns and views are kept (viewColumnComments: ${viewColumnComments})`, async () => {
    const { lease } = await openSubject(subject)
    await using one = await lease()
    await one.run('CREATE TABLE t AS SELECT 1 AS x; CREATE VIEW v AS SELECT * FROM t')
    const comment = (on: string): Promise<void> => one.script(`COMMENT ON ${on} IS 'of ${on}'`)
    for (const on of ['TABLE t', 'COLUMN t.x', 'VIEW v']) await comment(on)
    if (viewColumnComments) await comment('COLUMN v.x')
    else await expect(comment('COLUMN v.x')).rejects.toThrow(/Cannot comment on columns/)
    const here = 'database_name = current_database() AND comment IS NOT NULL'
    const found = await one.rows<{ comment: string }>(
      `SELECT comment FROM duckdb_tables() WHERE ${here} UNION ALL SELECT comment FROM duckdb_columns() WHERE ${here}
       UNION ALL SELECT comment FROM duckdb_views() WHERE ${here} ORDER BY ALL`,
    )
    const ofView = viewColumnComments ? ['of COLUMN v.x'] : []
    expect(found.map((row) => row.comment)).toEqual(['of COLUMN t.x', ...ofView, 'of TABLE t', 'of VIEW v'])
  })

  test('tables are made, replaced, renamed and dropped, views follow them, and both are listed', async () => {
    const { lease } = await openSubject(subject)
    await using one = await lease()
    await one.run('CREATE SCHEMA staging; CREATE TABLE staging.t AS SELECT 1 AS x')
    await one.run('CREATE OR REPLACE VIEW staging.v AS SELECT * FROM staging.t')
    await one.run("CREATE OR REPLACE TABLE staging.t AS SELECT 'b' AS added, 2 AS x")
    expect(await one.rows('FROM staging.v')).toEqual([{ added: 'b', x: 2 }])
    await one.run('ALTER TABLE staging.t RENAME TO renamed')
    await one.run('CREATE OR REPLACE VIEW staging.v AS SELECT x + 1 AS y FROM staging.renamed')
    expect(await one.rows('FROM staging.v')).toEqual([{ y: 3 }])
    const listed = `SELECT schema_name AS schema, table_name AS name FROM duckdb_tables() WHERE database_name = current_database()
      UNION ALL SELECT schema_name, view_name FROM duckdb_views() WHERE database_name = current_database() AND NOT internal
      ORDER BY ALL`
    expect(await one.rows(listed)).toEqual([
      { schema: 'staging', name: 'renamed' },
      { schema: 'staging', name: 'v' },
    ])
    await one.run('DROP VIEW staging.v; DROP TABLE staging.renamed; DROP SCHEMA staging')
    expect(await one.rows(listed)).toEqual([])
    expect(await one.rows('SELECT current_database() AS name')).toEqual([{ name: one.database.catalog }])
  })

  test('ranges are deleted, inserted and merged', async () => {
    const { lease } = await openSubject(subject)
    await using one = await lease()
    await one.run("CREATE TABLE t AS SELECT DATE '2024-01-01' + range::INTEGER AS day, range AS x FROM range(10)")
    await one.script(`DELETE FROM t WHERE day >= '2024-01-03' AND day < '2024-01-06';
      INSERT INTO t SELECT DATE '2024-01-03' + range::INTEGER, 100 FROM range(2)`)
    await one.script(`MERGE INTO t USING (SELECT DATE '2024-01-04' AS day, 7 AS x UNION ALL SELECT DATE '2025-01-01', 8) AS new
      ON t.day = new.day
      WHEN MATCHED THEN UPDATE SET x = new.x
      WHEN NOT MATCHED THEN INSERT (day, x) VALUES (new.day, new.x)`)
    expect(
      await one.rows("SELECT strftime(day, '%m-%d') AS day, x FROM t WHERE x > 9 OR x = 7 OR x = 8 ORDER BY t.day"),
    ).toEqual([
      { day: '01-03', x: 100 },
      { day: '01-04', x: 7 },
      { day: '01-08', x: 7 },
      { day: '01-09', x: 8 },
      { day: '01-01', x: 8 },
    ])
    expect(await one.rows('SELECT count(*) AS n FROM t')).toEqual([{ n: 10 }])
  })

  test('errors are known by their kind, and the place in the text', async () => {
    const { lease } = await openSubject(subject)
    await using one = await lease()
    await one.run('CREATE TABLE t (x INTEGER NOT NULL)')
    const kinds = {
      'SELECT 1,\n  FROM FROM t': 'parser',
      'SELECT nope FROM t': 'binder',
      'SELECT 1\nFROM nope': 'catalog',
      'INSERT INTO t VALUES (NULL)': 'constraint',
      "SELECT 'x'::INTEGER": 'conversion',
      "FROM 'no-such-file.csv'": 'io',
      "SELECT error('boom')": 'invalid_input',
    }
    const found: Record<string, string> = {}
    for (const sql of Object.keys(kinds)) found[sql] = classifySqlError(await errorOf(one.run(sql))).kind
    expect(found).toEqual(kinds)
    expect(classifySqlError(await errorOf(one.rows('SELECT 1\nFROM nope'))).position).toMatchObject({
      line: 2,
      column: 6,
    })
  })
}
