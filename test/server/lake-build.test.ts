/** Builds into lakes: one transaction writes at a time, there are no keys, and the promises are the same. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openProject, type BuiltProject } from '../helpers/built-project.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { createProject, writeFiles } from '../helpers/project.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

const FILES = {
  'seeds/names.csv': 'id,name\n1,one\n2,two\n3,three\n',
  'models/names.sql': `MODEL (name s.names, kind SEED (path '../seeds/names.csv'));`,
  'models/days.sql': `MODEL (name s.days, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 2), start '2024-01-01', end '2024-01-10');
    SELECT d::DATE AS ds, dayofyear(d)::INTEGER AS n FROM range(TIMESTAMP '2024-01-01', TIMESTAMP '2024-02-01', INTERVAL 1 DAY) AS t(d)
    WHERE d::DATE BETWEEN @start_ds AND @end_ds`,
  'models/total.sql': `MODEL (name s.total, kind FULL, audits (not_null(columns := (n))));
    SELECT sum(n) AS n, count(*) AS days FROM s.days`,
  'models/named.sql': `MODEL (name s.named, kind VIEW);
    SELECT names.name, total.n FROM s.names, s.total`,
}

describe.each([
  { catalog: 'a DuckDB file', location: 'lake.ducklake', extensions: [] },
  { catalog: 'SQLite', location: 'sqlite:lake.sqlite', extensions: ['sqlite_scanner'] },
])('a lake with its catalog in $catalog', ({ location, extensions }) => {
  let server: TestServer
  let folder: string

  beforeAll(async () => {
    folder = await extensionDirectory('ducklake', ...extensions)
    server = await startTestServer()
  }, 120_000)
  afterAll(() => server.close())

  async function openLake(): Promise<BuiltProject> {
    const connection = { type: 'ducklake', catalog: location, data_path: 'data', extension_directory: folder }
    const root = await createProject({
      ...FILES,
      'config.yaml': `gateways: { lake: { connection: ${JSON.stringify(connection)} } }
model_defaults: { dialect: duckdb, start: 2024-01-01, cron: '@daily' }`,
    })
    return openProject(server, root, { connection })
  }

  it('gets every table once, whatever runs at once; what is unchanged is not built again', async () => {
    const project = await openLake()
    const first = await project.build()
    expect(first).toMatchObject({ status: 'succeeded', promoted: true })
    expect(
      await project.rows('SELECT count(*)::INTEGER AS days, count(DISTINCT ds)::INTEGER AS each FROM s.days'),
    ).toEqual([{ days: 10, each: 10 }])
    expect(await project.rows('SELECT n::INTEGER AS n, days::INTEGER AS days FROM s.total')).toEqual([
      { n: 55, days: 10 },
    ])
    expect(await project.rows('SELECT name FROM s.named ORDER BY ALL')).toHaveLength(3)
    const units = await project.rows(
      'SELECT count(*)::INTEGER AS rows, count(DISTINCT (version, unit_start))::INTEGER AS units FROM millrace.ledger',
    )
    expect(units[0]?.['rows']).toBe(units[0]?.['units'])

    const second = await project.build()
    expect(second).toMatchObject({ status: 'succeeded', counts: { success: 0, error: 0 } })
  })

  it('shows no row before its audit: a failing one leaves the environment as it was', async () => {
    const project = await openLake()
    await project.build()
    await writeFiles(project.root, {
      'models/total.sql': `MODEL (name s.total, kind FULL, audits (not_null(columns := (n))));
        SELECT NULL::INTEGER AS n, 0 AS days FROM s.days LIMIT 1`,
    })
    expect(await project.build()).toMatchObject({ status: 'failed', promoted: false })
    expect(await project.rows('SELECT n::INTEGER AS n FROM s.total')).toEqual([{ n: 55 }])
  })
})
