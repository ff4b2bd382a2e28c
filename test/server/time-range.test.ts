/** INCREMENTAL_BY_TIME_RANGE: what is deleted, inserted, filtered and recorded, whatever the type of the time column. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { modelOf, openProject, statuses } from '../helpers/built-project.ts'
import { CONFIG, createProject, writeFiles } from '../helpers/project.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

/** One row just before, at, and just before the end of what is built on the first day; then the second day's. */
const ROWS = [
  [`TIMESTAMP '2023-12-31 23:59:59.999999'`, 'before'],
  [`TIMESTAMP '2024-01-01 00:00:00'`, 'first'],
  [`TIMESTAMP '2024-01-02 12:30:00'`, 'middle'],
  [`TIMESTAMP '2024-01-03 23:59:59.999999'`, 'last'],
  [`TIMESTAMP '2024-01-04 00:00:00'`, 'next day'],
  [`TIMESTAMP '2024-01-04 23:59:59.999999'`, 'next day, last'],
  [`TIMESTAMP '2024-01-05 00:00:00'`, 'after'],
  ['NULL', 'never'],
]
const FIRST = ['first', 'last', 'middle']
const SECOND = ['next day', 'next day, last']
const NAMES = ROWS.length

/** Name of the model, its time_column, and the column's expression. None of them narrows its rows down itself. */
const COLUMNS: [string, string, string][] = [
  ['dates', 't', 'moment::DATE'],
  ['timestamps', 't', 'moment'],
  ['seconds', 't', `date_trunc('second', moment)::TIMESTAMP_S`],
  ['nanoseconds', 't', 'moment::TIMESTAMP_NS'],
  ['zoned', 't', `moment AT TIME ZONE 'UTC'`],
  ['texts', `(t, '%Y-%m-%d')`, `strftime(moment, '%Y-%m-%d')`],
  ['long_texts', `(t, '%Y-%m-%d %H:%M:%S')`, `strftime(moment, '%Y-%m-%d %H:%M:%S')`],
  ['months', `(t, '%Y/%m/%d')`, `strftime(moment, '%Y/%m/%d')`],
  ['integers', `(t, '%Y%m%d')`, `strftime(moment, '%Y%m%d')::INT`],
  ['hours', `(t, '%Y%m%d%H')`, `strftime(moment, '%Y%m%d%H')::BIGINT`],
]

describe.each(['UTC', 'America/New_York'])('in a session whose time zone is %s', (zone) => {
  test('every type of time column gets exactly the rows of the interval, the others are counted', async () => {
    const models = COLUMNS.map(([name, time, expression]) => [
      `models/${name}.sql`,
      `MODEL (name a.${name}, kind INCREMENTAL_BY_TIME_RANGE (time_column ${time}));\nSELECT ${expression} AS t, name, version FROM raw.rows`,
    ])
    const config = CONFIG.replace('w.duckdb }', `w.duckdb, connector_config: { TimeZone: '${zone}' } }`)
    const root = await createProject({ 'config.yaml': config, ...Object.fromEntries(models) })
    const project = await openProject(server, root, { settings: { TimeZone: zone } })
    expect(await project.rows(`SELECT current_setting('TimeZone') AS zone`)).toEqual([{ zone }])
    const values = ROWS.map(([at, name]) => `(${at}, '${name}', 1)`).join(', ')
    await project.run(`CREATE SCHEMA raw; CREATE TABLE raw.rows AS FROM (VALUES ${values}) AS t(moment, name, version)`)
    const held = async (model: string): Promise<string[]> => {
      const rows = await project.rows(`SELECT name || ' ' || version AS row FROM a.${model} ORDER BY ALL`)
      return rows.map(({ row }) => String(row))
    }

    const first = await project.build({ executionTime: '2024-01-04' })
    for (const [name] of COLUMNS) {
      const model = modelOf(first, `a.${name}`)
      expect({ name, rows: await held(name) }).toEqual({ name, rows: FIRST.map((row) => `${row} 1`) })
      expect(model).toMatchObject({ name: `a.${name}`, rows: 3, rowsFiltered: NAMES - 3 })
    }

    // Only the second day's interval is written again: other rows of the source changed in vain.
    await project.run('UPDATE raw.rows SET version = 2')
    const second = await project.build({ executionTime: '2024-01-05' })
    for (const [name] of COLUMNS) {
      const rows = [...FIRST.map((row) => `${row} 1`), ...SECOND.map((row) => `${row} 2`)].sort()
      expect({ name, rows: await held(name) }).toEqual({ name, rows })
      expect(modelOf(second, `a.${name}`)).toMatchObject({ rows: 2, rowsFiltered: NAMES - 2 })
    }
  })
})

test('lookback builds the days before again, in place of what they held; older days stay', async () => {
  const root = await createProject({
    'models/m.sql':
      'MODEL (name a.m, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, lookback 2));\nSELECT ds, v FROM raw.rows WHERE ds BETWEEN @start_date AND @end_date',
  })
  const project = await openProject(server, root)
  await project.run(
    `CREATE SCHEMA raw; CREATE TABLE raw.rows AS SELECT DATE '2024-01-01' + range::INT AS ds, 1 AS v FROM range(8)`,
  )
  await project.build({ executionTime: '2024-01-06' })
  await project.run(`UPDATE raw.rows SET v = 2; DELETE FROM raw.rows WHERE ds = DATE '2024-01-04'`)

  const next = await project.build({ executionTime: '2024-01-07' })
  expect(modelOf(next, 'a.m')).toMatchObject({
    rows: 2,
    intervals: [['2024-01-04T00:00:00.000Z', '2024-01-07T00:00:00.000Z']],
  })
  // The 4th is gone: it was deleted at the source, and deleted here without anything to insert.
  expect(await project.rows('SELECT day(ds) AS day, v FROM a.m ORDER BY day')).toEqual([
    { day: 1, v: 1 },
    { day: 2, v: 1 },
    { day: 3, v: 1 },
    { day: 5, v: 2 },
    { day: 6, v: 2 },
  ])
  expect((await project.build({ executionTime: '2024-01-07' })).counts.unchanged).toBe(1)
})

test('batch_size makes one step of so many days, each with its own range; the ledger has one row per day', async () => {
  const root = await createProject({
    'models/m.sql': `MODEL (name a.m, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 3));
      SELECT ds, @start_ds AS first, @end_ds AS last, @start_date AS from_date FROM raw.rows`,
  })
  const project = await openProject(server, root)
  await project.run(
    `CREATE SCHEMA raw; CREATE TABLE raw.rows AS SELECT DATE '2024-01-01' + range::INT AS ds FROM range(10)`,
  )
  expect((await project.plan({ executionTime: '2024-01-09' })).backfills).toEqual([
    {
      model: 'a.m',
      intervals: [['2024-01-01T00:00:00.000Z', '2024-01-09T00:00:00.000Z']],
      batches: 3,
      reason: 'new model',
    },
  ])
  const report = await project.build({ executionTime: '2024-01-09' })
  // Each of the three steps reads all ten rows.
  expect(modelOf(report, 'a.m')).toMatchObject({ status: 'success', rows: 8, rowsFiltered: 22 })
  expect(await project.rows('SELECT first, last, count(*) AS n FROM a.m GROUP BY ALL ORDER BY ALL')).toEqual([
    { first: '2024-01-01', last: '2024-01-03', n: 3 },
    { first: '2024-01-04', last: '2024-01-06', n: 3 },
    { first: '2024-01-07', last: '2024-01-08', n: 2 },
  ])
  expect(
    await project.rows(
      'SELECT count(*) AS units, count(DISTINCT step) AS steps, bool_and(unit_end = unit_start + INTERVAL 1 DAY) AS days FROM millrace.ledger',
    ),
  ).toEqual([{ units: 8, steps: 3, days: true }])
})

test('a range in which nothing of a new model is due leaves an empty table with its columns, and is built when it is asked for', async () => {
  const root = await createProject({
    'models/days.sql': `MODEL (name a.days, kind INCREMENTAL_BY_TIME_RANGE (time_column day), end '2024-01-31');
SELECT @start_date AS day, @end_ds AS until WHERE @start_date <= @end_date`,
  })
  const project = await openProject(server, root)
  const report = await project.build({ start: '2024-03-01', end: '2024-03-02', executionTime: '2024-03-10' })
  expect(statuses(report)).toEqual({ 'a.days': 'success' })
  expect(await project.rows('FROM a.days')).toEqual([])
  expect(await project.rows('DESCRIBE a.days')).toMatchObject([{ column_name: 'day' }, { column_name: 'until' }])
  await project.build({ start: '2024-01-30', executionTime: '2024-03-10' })
  expect(await project.rows('SELECT until FROM a.days')).toEqual([{ until: '2024-01-31' }])
})

test('--start and --end limit what is built; what lies before is built when it is asked for', async () => {
  const root = await createProject({
    'models/m.sql':
      'MODEL (name a.m, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\nSELECT @start_date + range::INT AS ds FROM range(31) WHERE @start_date + range::INT <= @end_date',
  })
  const project = await openProject(server, root)
  const days = async (): Promise<unknown[]> =>
    (await project.rows('SELECT day(ds) AS d FROM a.m ORDER BY d')).map(({ d }) => d)
  // An end date is inclusive.
  await project.build({ executionTime: '2024-01-09', start: '2024-01-04', end: '2024-01-05' })
  expect(await days()).toEqual([4, 5])
  // An end timestamp is exclusive.
  await project.build({ executionTime: '2024-01-09', start: '2024-01-06', end: '2024-01-07 00:00:00' })
  expect(await days()).toEqual([4, 5, 6])
  const rest = await project.build({ executionTime: '2024-01-09' })
  expect(modelOf(rest, 'a.m').intervals).toEqual([
    ['2024-01-01T00:00:00.000Z', '2024-01-04T00:00:00.000Z'],
    ['2024-01-07T00:00:00.000Z', '2024-01-09T00:00:00.000Z'],
  ])
  expect(await days()).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
})

test('allow_partials: an hour that has begun is built up to the last tick, and again as far as it has come by the next', async () => {
  const root = await createProject({
    'models/m.sql': `MODEL (name a.m, kind INCREMENTAL_BY_TIME_RANGE (time_column t), cron '*/30 * * * *', interval_unit hour, allow_partials true, start '2024-01-01');
SELECT t, @end_ts AS until FROM raw.rows WHERE t BETWEEN @start_ts AND @end_ts`,
  })
  const project = await openProject(server, root)
  await project.run(
    `CREATE SCHEMA raw; CREATE TABLE raw.rows AS SELECT unnest(generate_series(TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-01 04:00', INTERVAL 20 MINUTE)) AS t`,
  )
  const ended = async (): Promise<unknown> =>
    (await project.rows('SELECT max(t)::VARCHAR AS last, count(*) AS n FROM a.m'))[0]
  await project.build({ executionTime: '2024-01-01 01:45:00' })
  expect(await ended()).toEqual({ last: '2024-01-01 01:20:00', n: 5 })
  const next = await project.build({ executionTime: '2024-01-01 02:10:00' })
  expect(modelOf(next, 'a.m').intervals).toEqual([['2024-01-01T01:00:00.000Z', '2024-01-01T02:00:00.000Z']])
  expect(await ended()).toEqual({ last: '2024-01-01 01:40:00', n: 6 })
  expect(await project.rows('SELECT count(*) AS units FROM millrace.ledger')).toEqual([{ units: 2 }])
})

describe('a model that reads itself', () => {
  test('has its batches built one after another, each on what the one before left', async () => {
    const root = await createProject({
      'models/m.sql': `MODEL (name a.m, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1), columns (ds DATE, total INT));
        SELECT @start_date AS ds, coalesce((SELECT max(total) FROM a.m WHERE ds < @start_date), 0) + 1 AS total`,
      'models/reader.sql': 'MODEL (name a.reader, kind FULL);\nSELECT max(total) AS total FROM a.m',
    })
    const project = await openProject(server, root)
    const first = await project.build({ executionTime: '2024-01-07' })
    expect(statuses(first)).toEqual({ 'a.m': 'success', 'a.reader': 'success' })
    expect(await project.rows('SELECT day(ds) AS day, total FROM a.m ORDER BY day')).toEqual(
      [1, 2, 3, 4, 5, 6].map((day) => ({ day, total: day })),
    )
    await project.build({ executionTime: '2024-01-09' })
    expect(await project.rows('SELECT total FROM a.reader')).toEqual([{ total: 8 }])

    // A new version starts from nothing, not from the old version's rows.
    await writeFiles(root, {
      'models/m.sql': `MODEL (name a.m, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1), columns (ds DATE, total INT));
        SELECT @start_date AS ds, coalesce((SELECT max(total) FROM a.m WHERE ds < @start_date), 0) + 10 AS total`,
    })
    await project.build({ executionTime: '2024-01-09' })
    expect(await project.rows('SELECT total FROM a.reader')).toEqual([{ total: 80 }])
  })

  test('and is rewritten as a whole finds its own rows of before', async () => {
    const root = await createProject({
      'models/m.sql':
        'MODEL (name a.m, kind FULL, columns (day TEXT));\nSELECT day FROM a.m UNION ALL SELECT @execution_ds AS day',
    })
    const project = await openProject(server, root)
    for (const executionTime of ['2024-01-04', '2024-01-05', '2024-01-06']) await project.build({ executionTime })
    expect((await project.rows('SELECT day FROM a.m ORDER BY day')).map(({ day }) => day)).toEqual([
      '2024-01-04',
      '2024-01-05',
      '2024-01-06',
    ])
  })
})

test('a query without its time column is an error that names the columns there are', async () => {
  const root = await createProject({
    'models/m.sql':
      'MODEL (name a.m, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\nSELECT @start_date AS day, 1 AS v',
  })
  const project = await openProject(server, root)
  const report = await project.build({ executionTime: '2024-01-04' })
  expect(modelOf(report, 'a.m')).toMatchObject({
    status: 'error',
    attempts: 1,
    error: { code: 'MODEL', message: expect.stringMatching(/'ds'.*day, v.*models\/m\.sql/s) },
  })
  expect(await project.names()).toEqual([])
})

test('hours in a column of days are an error, since deleting an hour would delete its day', async () => {
  const root = await createProject({
    'models/m.sql':
      "MODEL (name a.m, cron '@hourly', kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\nSELECT CAST(@start_dtntz AS DATE) AS ds, 1 AS v",
  })
  const project = await openProject(server, root)
  const report = await project.build({ start: '2024-01-03 01:00:00', executionTime: '2024-01-03 03:30:00' })
  expect(modelOf(report, 'a.m')).toMatchObject({
    status: 'error',
    error: { code: 'MODEL', message: expect.stringMatching(/tells one hour from the next.*'ds' is DATE/s) },
  })
})
