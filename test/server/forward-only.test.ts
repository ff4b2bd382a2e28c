/** Models that go on in their table when their definition changes. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { modelOf, openProject, statuses } from '../helpers/built-project.ts'
import { createProject, writeFiles } from '../helpers/project.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

const model = (query: string, options = ''): string =>
  `MODEL (name a.days, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1, forward_only true${options}));
SELECT ds, ${query} FROM raw.rows WHERE ds BETWEEN @start_date AND @end_date`

test('what changes applies to new intervals: the table gets the columns of the query with the first of them, or refuses', async () => {
  const root = await createProject({
    'models/days.sql': model('1::INTEGER AS n, 2 AS old'),
    'models/all_of.sql': 'MODEL (name a.all_of, kind VIEW);\nSELECT * FROM a.days',
  })
  const project = await openProject(server, root)
  await project.run(
    `CREATE SCHEMA raw; CREATE TABLE raw.rows AS SELECT DATE '2024-01-01' + range::INT AS ds FROM range(8)`,
  )
  const shown = (): Promise<unknown[]> => project.rows('SELECT * EXCLUDE (ds) FROM a.all_of ORDER BY ds')
  await project.build({ executionTime: '2024-01-03' })
  const before = await project.rows('SELECT version FROM millrace.environment_models ORDER BY ALL')

  // A new column, and a type that holds what the old one held: allowed by default. Two batches, of which the first one alters.
  await writeFiles(root, { 'models/days.sql': model(`1::BIGINT AS n, 2 AS old, 'x' AS added`) })
  expect(await project.plan({ executionTime: '2024-01-03' })).toMatchObject({
    changes: [{ model: 'a.days', category: 'forward_only' }],
    backfills: [],
  })
  const grown = await project.build({ executionTime: '2024-01-05' })
  expect(statuses(grown)).toEqual({ 'a.days': 'success', 'a.all_of': 'success' })
  expect(await shown()).toEqual([
    { n: 1, old: 2, added: null },
    { n: 1, old: 2, added: null },
    { n: 1, old: 2, added: 'x' },
    { n: 1, old: 2, added: 'x' },
  ])
  expect(await project.rows('SELECT version FROM millrace.environment_models ORDER BY ALL')).toEqual(before)
  expect(await project.rows('SELECT DISTINCT typeof(n) AS type FROM a.days')).toEqual([{ type: 'BIGINT' }])
  expect((await project.plan({ executionTime: '2024-01-05' })).changes).toEqual([])

  // A column less loses something: refused by default, and every row is as it was.
  await writeFiles(root, { 'models/days.sql': model(`1::BIGINT AS n, 'x' AS added`) })
  const refused = await project.build({ executionTime: '2024-01-06' })
  expect(modelOf(refused, 'a.days')).toMatchObject({
    status: 'error',
    error: {
      code: 'SCHEMA_CHANGE',
      message: expect.stringContaining("its query drops 'old'; on_destructive_change is error"),
    },
  })
  expect(await shown()).toHaveLength(4)

  await writeFiles(root, { 'models/days.sql': model(`1::BIGINT AS n, 'x' AS added`, ', on_destructive_change warn') })
  const dropped = await project.build({ executionTime: '2024-01-06' })
  expect(modelOf(dropped, 'a.days')).toMatchObject({
    status: 'warn',
    warnings: ["the table of 'a.days' is altered: drops 'old'"],
  })
  expect(await shown()).toContainEqual({ n: 1, added: 'x' })

  // Ignored: the table stays as it is; what it does not know is left out, what it alone has is NULL.
  const ignore = ', on_destructive_change ignore, on_additive_change ignore'
  await writeFiles(root, { 'models/days.sql': model(`7::BIGINT AS n, 'z' AS other`, ignore) })
  await project.build({ executionTime: '2024-01-07' })
  expect((await shown()).at(-1)).toEqual({ n: 7, added: null })
})
