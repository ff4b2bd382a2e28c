/** Descriptions of models and columns, as people find them in the catalog. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { modelOf, openProject } from '../helpers/built-project.ts'
import { CONFIG, createProject, writeFiles } from '../helpers/project.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

const described = (text: string): string =>
  `MODEL (name a.sales, kind FULL, description '${text}', column_descriptions (n = 'how many', gone = 'was here'));\nSELECT 1 AS n, 2 AS m`

test('views people read have them, and a changed description comes without building anything', async () => {
  const root = await createProject({
    'config.yaml': CONFIG,
    'models/sales.sql': described('what was sold'),
    'models/view.sql': `-- Of the sales
      MODEL (name a.view, kind VIEW);
      SELECT n -- a number
      FROM a.sales`,
    'models/days.sql': `MODEL (name a.days, kind INCREMENTAL_BY_TIME_RANGE (time_column day), start '2024-01-01', columns (day DATE), description 'days');
      SELECT @start_date AS day`,
    'models/plain.sql': 'MODEL (name a.plain, kind FULL);\nSELECT 1 AS n',
  })
  const project = await openProject(server, root)
  const comments = (schema: string): Promise<Record<string, unknown>[]> =>
    project.rows(
      `SELECT regexp_extract(name, '(?:a__)?([a-z.]+)', 1) AS on, comment FROM (
         SELECT schema_name, view_name AS name, comment FROM duckdb_views()
         UNION ALL SELECT schema_name, table_name, comment FROM duckdb_tables()
         UNION ALL SELECT schema_name, table_name || '.' || column_name, comment FROM duckdb_columns())
       WHERE schema_name = '${schema}' AND comment IS NOT NULL ORDER BY ALL`,
    )

  await project.build({ executionTime: '2024-01-03' })
  expect(await comments('a')).toEqual([
    { on: 'days', comment: 'days' },
    { on: 'sales', comment: 'what was sold' },
    { on: 'sales.n', comment: 'how many' },
    { on: 'view', comment: 'Of the sales' },
    { on: 'view.n', comment: 'a number' },
  ])
  const ofTables = await comments('millrace__a')
  expect(new Set(ofTables.map(({ comment }) => comment))).toEqual(
    new Set(['days', 'what was sold', 'how many', 'Of the sales', 'a number']),
  )

  await writeFiles(root, { 'models/sales.sql': described('what was not').replace("n = 'how many', ", '') })
  const second = await project.build({ executionTime: '2024-01-03' })
  expect(modelOf(second, 'a.sales')).toMatchObject({ rows: null, attempts: 0 })
  expect(await comments('a')).toEqual([
    { on: 'days', comment: 'days' },
    { on: 'sales', comment: 'what was not' },
    { on: 'view', comment: 'Of the sales' },
    { on: 'view.n', comment: 'a number' },
  ])
})
