/** Audits in a build: what blocks is never seen, what warns does not stop anything. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { builtModels, modelOf, openProject, statuses } from '../helpers/built-project.ts'
import { runCli } from '../helpers/cli.ts'
import { createProject, query, writeFiles } from '../helpers/project.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

const NOW = '2024-01-04'

//  a.source ──► a.middle ──► a.end ──► a.last
//      └──────► a.aside
function chain({ bad }: { bad: boolean }): Record<string, string> {
  return {
    'models/source.sql': 'MODEL (name a.source, kind FULL);\nSELECT range AS id FROM range(3)',
    'models/middle.sql': `MODEL (name a.middle, kind FULL, audits (not_null(columns := (id)), unique_values(columns := (id))));\nSELECT ${bad ? 'id // 2' : 'id'} AS id FROM a.source`,
    'models/end.sql': 'MODEL (name a.end, kind FULL);\nSELECT count(*) AS n FROM a.middle',
    'models/last.sql': 'MODEL (name a.last, kind VIEW);\nSELECT n FROM a.end',
    'models/aside.sql': 'MODEL (name a.aside, kind FULL);\nSELECT count(*) AS n FROM a.source',
  }
}

describe('a blocking audit that fails in the middle', () => {
  test('leaves no row, skips the descendants for it, builds the rest, and ends the command with 1', async () => {
    const root = await createProject(chain({ bad: true }))
    const { code, stdout, stderr } = await runCli(['build', root, '--execution-time', NOW, '--json'])

    expect({ code, stderr }).toMatchObject({ code: 1 })
    const report = JSON.parse(stdout)
    expect(report).toMatchObject({ status: 'failed', promoted: false })
    expect(statuses(report)).toEqual({
      'a.source': 'success',
      'a.middle': 'error',
      'a.aside': 'success',
      'a.end': 'skipped',
      'a.last': 'skipped',
    })
    expect(modelOf(report, 'a.middle')).toMatchObject({
      attempts: 1,
      rows: null,
      audits: [
        { name: 'not_null', status: 'pass', failures: 0 },
        { name: 'unique_values', status: 'fail', failures: 1 },
      ],
      error: { code: 'AUDIT_FAILED', message: expect.stringContaining('unique_values(columns := (id))') },
    })
    expect(modelOf(report, 'a.middle').error?.message).toContain('models/middle.sql:1')
    for (const name of ['a.end', 'a.last'])
      expect(modelOf(report, name).reason).toBe(`skipped because 'a.middle' failed`)

    const relations = await query(
      join(root, 'w.duckdb'),
      `SELECT split_part(table_name, '__', 2) AS model FROM duckdb_tables() WHERE schema_name = 'millrace__a' ORDER BY ALL`,
    )
    expect(relations).toEqual([{ model: 'aside' }, { model: 'source' }])
  })

  test('leaves the rows that were there before, in a full and in a time-range model', async () => {
    const files = {
      'models/days.sql': `MODEL (name a.days, kind INCREMENTAL_BY_TIME_RANGE (time_column ds), audits (accepted_range(column := v, max_v := 9)));
        SELECT ds, v FROM raw.days WHERE ds BETWEEN @start_date AND @end_date`,
      'models/sums.sql': `MODEL (name a.sums, kind FULL, audits (accepted_range(column := total, max_v := 9)));
        SELECT sum(v) AS total FROM raw.days`,
    }
    const root = await createProject(files)
    const project = await openProject(server, root)
    await project.run(`CREATE SCHEMA raw; CREATE TABLE raw.days AS SELECT DATE '2024-01-03' AS ds, 5 AS v`)
    await project.build({ executionTime: NOW })

    // The next day's rows are bad: written in place, audited, rolled back.
    await project.run(`INSERT INTO raw.days VALUES (DATE '2024-01-04', 50)`)
    const bad = await project.build({ executionTime: '2024-01-05' })
    expect(statuses(bad)).toEqual({ 'a.days': 'error', 'a.sums': 'error' })
    expect(await project.rows('SELECT v, total FROM a.days, a.sums')).toEqual([{ v: 5, total: 5 }])

    // Only what failed is missing; the audit of a time range looks at the rows of that range alone.
    await project.run(`UPDATE raw.days SET v = 4 WHERE v = 50; UPDATE raw.days SET v = 5000 WHERE v = 5`)
    const fixed = await project.build({ executionTime: '2024-01-05', select: 'a.days' })
    expect(fixed.status).toBe('succeeded')
    expect(modelOf(fixed, 'a.days').intervals).toEqual([['2024-01-04T00:00:00.000Z', '2024-01-05T00:00:00.000Z']])
    expect(await project.rows('SELECT v FROM a.days ORDER BY v')).toEqual([{ v: 4 }, { v: 5 }])
  })

  test('shows its rows to nobody while it runs', async () => {
    const root = await createProject({
      'models/full.sql': 'MODEL (name a.full, kind FULL);\nSELECT 1 AS x, now() AS t FROM raw.rows',
    })
    const project = await openProject(server, root)
    await project.run('CREATE SCHEMA raw; CREATE TABLE raw.rows AS SELECT 1 AS x')
    await project.build({ executionTime: NOW })
    await writeFiles(root, {
      'audits/slow.sql':
        'AUDIT (name slow);\nSELECT * FROM @this_model WHERE (SELECT sum(a.range * b.range) FROM range(20000) AS a, range(4000) AS b) > 0',
      'models/full.sql': 'MODEL (name a.full, kind FULL, audits (slow));\nSELECT 1 AS x, now() AS t FROM raw.rows',
    })
    await project.run('INSERT INTO raw.rows SELECT 2 FROM range(9)')

    const counts: unknown[] = []
    const ended = new AbortController()
    const building = project.build({ executionTime: '2024-01-05' }).finally(() => ended.abort())
    await using lease = await project.lease('reader')
    while (!ended.signal.aborted) {
      const [row] = await lease.rows<{ n: number }>('SELECT count(*) AS n FROM a."full"')
      counts.push(row?.n)
    }
    const report = await building

    expect(modelOf(report, 'a.full')).toMatchObject({ status: 'error', audits: [{ name: 'slow', failures: 10 }] })
    expect(counts.length).toBeGreaterThan(5)
    expect(new Set(counts)).toEqual(new Set([1]))
  })
})

describe('audits of the project', () => {
  test('in audits/ and inline are found, get their arguments and defaults, and block', async () => {
    const root = await createProject({
      'audits/positive.sql': `AUDIT (name positive, defaults (least = 0));\nSELECT * FROM @this_model WHERE @column < @least`,
      'models/ok.sql': `MODEL (name a.ok, kind FULL, audits (positive(column := x), positive(column := x, least := 1)));\nSELECT 1 AS x`,
      'models/bad.sql': `MODEL (name a.bad, kind FULL, audits (positive(column := x, least := 2)));\nSELECT 1 AS x`,
      'models/inline.sql': `MODEL (name a.inline, kind FULL, audits (odd));\nSELECT 2 AS x;\n\nAUDIT (name odd);\nSELECT * FROM @this_model WHERE x % 2 = 0`,
    })
    const project = await openProject(server, root)
    const report = await project.build({ executionTime: NOW })
    expect(statuses(report)).toEqual({ 'a.ok': 'success', 'a.bad': 'error', 'a.inline': 'error' })
    expect(modelOf(report, 'a.ok').audits).toEqual([
      { name: 'positive', status: 'pass', failures: 0, args: { column: 'x' } },
      { name: 'positive', status: 'pass', failures: 0, args: { column: 'x', least: '1' } },
    ])
    expect(modelOf(report, 'a.bad').audits).toEqual([{ name: 'positive', status: 'fail', failures: 1 }])
    expect(modelOf(report, 'a.inline').audits).toEqual([{ name: 'odd', status: 'fail', failures: 1 }])
  })

  test('that do not block warn, with the rows in place and the readers built', async () => {
    const root = await createProject({
      'audits/soft.sql': 'AUDIT (name soft, blocking false);\nSELECT * FROM @this_model WHERE x > 1',
      'models/rows.sql': `MODEL (name a.rows, kind FULL, audits (soft, not_null_non_blocking(columns := (y)), not_null(columns := (x))));
        SELECT x, NULL::INT AS y FROM range(1, 4) AS t(x)`,
      'models/reader.sql': 'MODEL (name a.reader, kind FULL);\nSELECT count(*) AS n FROM a.rows',
    })
    const project = await openProject(server, root)
    const report = await project.build({ executionTime: NOW })
    expect(report).toMatchObject({ status: 'succeeded', promoted: true, counts: { warn: 1, success: 1 } })
    expect(modelOf(report, 'a.rows')).toMatchObject({ status: 'warn', rows: 3, error: null })
    expect(modelOf(report, 'a.rows').audits.toSorted((a, b) => a.name.localeCompare(b.name))).toEqual([
      { name: 'not_null', status: 'pass', failures: 0 },
      { name: 'not_null_non_blocking', status: 'warn', failures: 3 },
      { name: 'soft', status: 'warn', failures: 2 },
    ])
    expect(await project.rows('SELECT n FROM a.reader')).toEqual([{ n: 3 }])
  })

  test('that do not block and whose SQL fails take nothing with them', async () => {
    const root = await createProject({
      'audits/broken.sql': `AUDIT (name broken, blocking false);\nSELECT error('the audit itself') FROM @this_model`,
      'audits/unknown.sql': 'AUDIT (name unknown, blocking false);\nSELECT no_such_column FROM @this_model',
      'models/rows.sql': 'MODEL (name a.rows, kind FULL, audits (broken, unknown));\nSELECT 1 AS x',
      'models/reader.sql': 'MODEL (name a.reader, kind FULL);\nSELECT count(*) AS n FROM a.rows',
    })
    const project = await openProject(server, root)
    const report = await project.build({ executionTime: NOW })
    expect(report).toMatchObject({ status: 'succeeded', promoted: true })
    expect(modelOf(report, 'a.rows')).toMatchObject({
      status: 'warn',
      attempts: 1,
      audits: [
        { name: 'broken', status: 'warn' },
        { name: 'unknown', status: 'warn' },
      ],
    })
    expect(await project.rows('SELECT n FROM a.reader')).toEqual([{ n: 1 }])
    expect(builtModels(await project.build({ executionTime: NOW }))).toEqual([])
  })

  test('that block and whose SQL fails fail the model with the error', async () => {
    const root = await createProject({
      'audits/broken.sql': 'AUDIT (name broken);\nSELECT no_such_column FROM @this_model',
      'models/rows.sql': 'MODEL (name a.rows, kind FULL, audits (broken));\nSELECT 1 AS x',
    })
    const project = await openProject(server, root)
    const report = await project.build({ executionTime: NOW })
    expect(modelOf(report, 'a.rows')).toMatchObject({
      status: 'error',
      attempts: 1,
      error: { code: 'SQL', message: expect.stringContaining('no_such_column') },
    })
    expect(await project.names()).toEqual([])
  })
})
