/** What a build does of a project: selections, edits, new data, refreshes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BuildProgress } from '../../src/payloads.ts'
import { builtModels, modelOf, openProject, statuses, type BuiltProject } from '../helpers/built-project.ts'
import { CONFIG, createProject, writeFiles } from '../helpers/project.ts'
import { startBuild, startTestServer, type TestServer } from '../helpers/worker.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

const NOW = '2024-01-04'
const TOMORROW = '2024-01-05'

//  a.one ──► a.two ──► a.three        a.alone
function line(generation = 1): Record<string, string> {
  return {
    'models/one.sql': `MODEL (name a.one, kind FULL, tags [first]);\nSELECT ${generation} AS g`,
    'models/two.sql': 'MODEL (name a.two, kind FULL);\nSELECT g FROM a.one',
    'models/three.sql': 'MODEL (name a.three, kind VIEW);\nSELECT g FROM a.two',
    'models/alone.sql': 'MODEL (name a.alone, kind FULL);\nSELECT 7 AS x',
  }
}

async function openLine(): Promise<BuiltProject> {
  return openProject(server, await createProject(line()))
}

describe('a selection', () => {
  test('is all that is built and promoted; a parent that was never built is an error that says what to select', async () => {
    const project = await openLine()
    const error = await project.build({ executionTime: NOW, select: 'a.two' }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'PARENT_NOT_BUILT',
      message: expect.stringContaining(`'a.one'`),
      file: 'models/two.sql',
      hint: expect.stringContaining('+a.two'),
    })
    expect(await project.names()).toEqual([])

    const report = await project.build({ executionTime: NOW, select: '+a.two' })
    expect(statuses(report)).toEqual({ 'a.one': 'success', 'a.two': 'success' })
    expect(report.promoted).toBe(true)
    expect(await project.names()).toEqual(['view a.one', 'view a.two'])

    const rest = await project.build({ executionTime: NOW, exclude: 'tag:first a.alone' })
    expect(builtModels(rest)).toEqual(['a.three'])
    expect(await project.names()).toEqual(['view a.one', 'view a.three', 'view a.two'])
  })

  test('leaves the children of a changed parent on the version they read, and the plan lists them as stale', async () => {
    const project = await openLine()
    await project.build({ executionTime: NOW })
    await writeFiles(project.root, line(2))

    const plan = await project.plan({ executionTime: NOW, select: 'a.one' })
    expect(plan).toMatchObject({
      changes: [{ model: 'a.one', category: 'breaking' }],
      backfills: [{ model: 'a.one' }],
      stale: ['a.two'],
      unchanged: [],
    })
    await project.build({ executionTime: NOW, select: 'a.one' })
    expect(
      await project.rows('SELECT one.g AS one, two.g AS two, three.g AS three FROM a.one, a.two, a.three'),
    ).toEqual([{ one: 2, two: 1, three: 1 }])

    const rest = await project.build({ executionTime: NOW })
    expect(builtModels(rest)).toEqual(['a.three', 'a.two'])
    expect(await project.rows('SELECT g FROM a.three')).toEqual([{ g: 2 }])
  })

  test('may be what changed itself since the last promotion, and what failed in the last build', async () => {
    const project = await openLine()
    await project.build({ executionTime: NOW })
    const nothing = await project
      .build({ executionTime: NOW, select: 'state:modified' })
      .catch((error: unknown) => error)
    expect(nothing).toMatchObject({ code: 'SELECTION', hint: 'Every model is as the environment has it.' })

    await writeFiles(project.root, {
      ...line(2),
      'models/alone.sql': `MODEL (name a.alone, kind FULL);\nSELECT error('no') AS x`,
    })
    expect((await project.plan({ executionTime: NOW, select: 'state:modified' })).stale).toEqual(['a.two'])
    const modified = await project.build({ executionTime: NOW, select: 'state:modified' })
    expect(statuses(modified)).toEqual({ 'a.one': 'success', 'a.alone': 'error' })

    await writeFiles(project.root, { 'models/alone.sql': 'MODEL (name a.alone, kind FULL);\nSELECT 8 AS x' })
    const failed = await project.build({ executionTime: NOW, select: 'result:failed' })
    expect(statuses(failed)).toEqual({ 'a.alone': 'success' })
    // Built before, and not promoted.
    const rest = await project.build({ executionTime: NOW, select: 'state:modified+' })
    expect(builtModels(rest)).toEqual(['a.three', 'a.two'])
    expect(await project.rows('SELECT g, x FROM a.three, a.alone')).toEqual([{ g: 2, x: 8 }])
  })
})

describe('new data', () => {
  test('that is due the next day is written in place, without a promotion', async () => {
    const root = await createProject({
      'models/full.sql': 'MODEL (name a.full, kind FULL);\nSELECT count(*) AS n FROM raw.rows',
      'models/days.sql':
        'MODEL (name a.days, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\nSELECT ds FROM raw.rows WHERE ds BETWEEN @start_date AND @end_date',
      'models/shown.sql': 'MODEL (name a.shown, kind VIEW);\nSELECT n, @execution_ds AS day FROM a.full',
      'models/weekly.sql': `MODEL (name a.weekly, kind FULL, cron '@weekly');\nSELECT count(*) AS n FROM raw.rows`,
    })
    const project = await openProject(server, root)
    await project.run(`CREATE SCHEMA raw; CREATE TABLE raw.rows AS SELECT DATE '2024-01-03' AS ds`)
    expect((await project.build({ executionTime: NOW })).promoted).toBe(true)
    const before = await project.rows('SELECT model, version FROM millrace.environment_models ORDER BY ALL')

    await project.run(`INSERT INTO raw.rows VALUES (DATE '2024-01-04')`)
    const report = await project.build({ executionTime: TOMORROW })
    expect(statuses(report)).toEqual({
      'a.full': 'success',
      'a.days': 'success',
      'a.shown': 'success',
      'a.weekly': 'unchanged',
    })
    expect(report.promoted).toBe(false)
    expect(modelOf(report, 'a.days')).toMatchObject({
      reason: 'new data is due',
      intervals: [['2024-01-04T00:00:00.000Z', '2024-01-05T00:00:00.000Z']],
      rows: 1,
    })
    expect(
      await project.rows(
        'SELECT n, day, (SELECT count(*) FROM a.days) AS days, (SELECT n FROM a.weekly) AS weekly FROM a.shown',
      ),
    ).toEqual([{ n: 2, day: TOMORROW, days: 2, weekly: 1 }])
    expect(await project.rows('SELECT model, version FROM millrace.environment_models ORDER BY ALL')).toEqual(before)
  })

  test('of a seed is written in place, with the models made of it and no others', async () => {
    const root = await createProject({
      'seeds/s.csv': 'id,v\n1,10\n',
      'models/s.sql': `MODEL (name a.s, kind SEED (path '../seeds/s.csv'));`,
      'models/sums.sql': 'MODEL (name a.sums, kind FULL);\nSELECT sum(v) AS v FROM a.s',
      'models/again.sql': 'MODEL (name a.again, kind FULL);\nSELECT v + 1 AS v FROM a.sums',
      'models/days.sql':
        'MODEL (name a.days, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\nSELECT @start_date AS ds, count(*) AS n FROM a.s',
      'models/alone.sql': 'MODEL (name a.alone, kind FULL);\nSELECT 7 AS x',
    })
    const project = await openProject(server, root)
    await project.build({ executionTime: NOW })
    await writeFiles(root, { 'seeds/s.csv': 'id,v\n1,10\n2,20\n' })

    expect((await project.plan({ executionTime: NOW })).changes).toEqual([])
    const report = await project.build({ executionTime: NOW })
    expect(statuses(report)).toEqual({
      'a.s': 'success',
      'a.sums': 'success',
      'a.again': 'success',
      'a.days': 'unchanged',
      'a.alone': 'unchanged',
    })
    expect(report.promoted).toBe(false)
    expect(modelOf(report, 'a.s').reason).toBe('its file changed')
    expect(await project.rows('SELECT v, (SELECT count(*) FROM a.s) AS n FROM a.again')).toEqual([{ v: 31, n: 2 }])
    expect(builtModels(await project.build({ executionTime: NOW }))).toEqual([])
  })
})

describe('an edit', () => {
  test('that is taken back brings back the version there was, without building it', async () => {
    const project = await openLine()
    await project.build({ executionTime: NOW })
    await writeFiles(project.root, line(2))
    expect(builtModels(await project.build({ executionTime: NOW }))).toEqual(['a.one', 'a.three', 'a.two'])
    await writeFiles(project.root, line(1))
    const back = await project.build({ executionTime: NOW })
    expect(builtModels(back)).toEqual([])
    expect(back.promoted).toBe(true)
    expect(await project.rows('SELECT g FROM a.three')).toEqual([{ g: 1 }])
  })

  test('of comments, white space and the case of words builds nothing', async () => {
    const project = await openLine()
    await project.build({ executionTime: NOW })
    await writeFiles(project.root, {
      'models/one.sql': `MODEL (\n  name a.one, -- a name\n  kind full,\n  tags [first]\n);\n\nselect /* the\n generation */ 1   as g\n\n-- the end\n`,
    })
    expect((await project.plan({ executionTime: NOW })).changes).toEqual([])
    const report = await project.build({ executionTime: NOW })
    expect(new Set(Object.values(statuses(report)))).toEqual(new Set(['unchanged']))
    expect(report.promoted).toBe(false)
  })

  test('of the owner builds nothing, of the audits runs these alone; both are recorded', async () => {
    const project = await openLine()
    await project.build({ executionTime: NOW })
    await writeFiles(project.root, {
      'models/one.sql': `MODEL (name a.one, kind FULL, tags [first], owner sam);\nSELECT 1 AS g`,
      'models/two.sql': 'MODEL (name a.two, kind FULL, audits (not_null(columns := (g))));\nSELECT g FROM a.one',
    })
    expect((await project.plan({ executionTime: NOW })).changes).toEqual([
      { model: 'a.one', category: 'metadata', reason: 'its metadata changed' },
      { model: 'a.two', category: 'metadata', reason: 'its metadata changed; its audits run again' },
    ])
    const report = await project.build({ executionTime: NOW })
    expect(builtModels(report)).toEqual(['a.two'])
    expect(modelOf(report, 'a.two')).toMatchObject({
      rows: null,
      audits: [{ name: 'not_null', status: 'pass', failures: 0 }],
    })
    expect(report).toMatchObject({ status: 'succeeded', promoted: true })
    const { changes, unchanged } = await project.plan({ executionTime: NOW })
    expect({ changes, unchanged: unchanged.length }).toEqual({ changes: [], unchanged: 4 })
    const next = await project.build({ executionTime: TOMORROW })
    expect(modelOf(next, 'a.two').audits).toEqual([{ name: 'not_null', status: 'pass', failures: 0 }])
  })

  test('in mid-build waits for the next build: what was planned is built, by a new worker too', async () => {
    const root = await createProject({
      'seeds/s.csv': 'id\n1\n',
      'models/slow.sql':
        'MODEL (name a.slow, kind FULL);\nSELECT sum(a.range * b.range) AS x FROM range(30000) AS a, range(20000) AS b',
      'models/after.sql': `MODEL (name a.after, kind FULL);\nSELECT x, 'planned' AS text FROM a.slow`,
      'models/s.sql': `MODEL (name a.s, kind SEED (path '../seeds/s.csv'));`,
    })
    const first = await openProject(server, root)
    // One at a time: the longest path, slow and after, goes before the seed.
    const handle = await startBuild(server, { executionTime: NOW, maxParallel: 1 })
    const progress = (): Promise<BuildProgress> => handle.query<BuildProgress>('progress')
    await until(async () => (await progress()).running.some(({ name }) => name === 'a.slow'))
    await writeFiles(root, {
      'models/after.sql': `MODEL (name a.after, kind FULL);\nSELECT x, 'edited' AS text FROM a.slow`,
      'seeds/s.csv': 'id\n1\n2\n',
    })
    expect((await progress()).running.map(({ name }) => name)).toEqual(['a.slow'])
    await first.stop()

    const second = await openProject(server, root)
    expect(await handle.result()).toMatchObject({ status: 'succeeded', promoted: true })
    const shown = 'SELECT text, (SELECT count(*) FROM a.s) AS n FROM a.after'
    expect(await second.rows(shown)).toEqual([{ text: 'planned', n: 1 }])

    const next = await second.build({ executionTime: NOW })
    expect(builtModels(next)).toEqual(['a.after', 'a.s'])
    expect(await second.rows(shown)).toEqual([{ text: 'edited', n: 2 }])
  })
})

describe('a full refresh', () => {
  test('rebuilds all history under a new version, never in place', async () => {
    const root = await createProject({
      'models/days.sql':
        'MODEL (name a.days, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\nSELECT ds, v FROM raw.rows WHERE ds BETWEEN @start_date AND @end_date',
      'models/sums.sql': 'MODEL (name a.sums, kind FULL);\nSELECT sum(v) AS v FROM a.days',
    })
    const project = await openProject(server, root)
    await project.run(`CREATE SCHEMA raw; CREATE TABLE raw.rows AS SELECT DATE '2024-01-01' AS ds, 1 AS v`)
    await project.build({ executionTime: NOW })
    const [before] = await project.rows(`SELECT version FROM millrace.environment_models WHERE model = 'a.days'`)

    await project.run('UPDATE raw.rows SET v = 2')
    const refreshed = await project.build({ executionTime: NOW, fullRefresh: true })
    expect(refreshed.promoted).toBe(true)
    expect(modelOf(refreshed, 'a.days')).toMatchObject({
      reason: 'full refresh',
      intervals: [['2024-01-01T00:00:00.000Z', '2024-01-04T00:00:00.000Z']],
    })
    const [after] = await project.rows(`SELECT version FROM millrace.environment_models WHERE model = 'a.days'`)
    expect(after).not.toEqual(before)
    expect(await project.rows('SELECT v FROM a.sums')).toEqual([{ v: 2 }])
    expect(await project.rows(`SELECT v FROM millrace__a.a__days__${String(before?.['version'])}`)).toEqual([{ v: 1 }])

    // The refreshed version is the model's from now on.
    expect(builtModels(await project.build({ executionTime: NOW }))).toEqual([])
    await project.run(`INSERT INTO raw.rows VALUES (DATE '2024-01-04', 5)`)
    await project.build({ executionTime: TOMORROW })
    expect(await project.rows('SELECT v FROM a.sums')).toEqual([{ v: 7 }])
  })

  test('is refused for models with disable_restatement, by name and line', async () => {
    const root = await createProject({
      'models/kept.sql':
        'MODEL (name a.kept, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, disable_restatement true));\nSELECT @start_date AS ds',
      'models/other.sql': 'MODEL (name a.other, kind FULL);\nSELECT 1 AS x',
    })
    const project = await openProject(server, root)
    const error = await project.build({ executionTime: NOW, fullRefresh: true }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(`'a.kept'`),
      file: 'models/kept.sql',
      hint: expect.stringContaining('--exclude a.kept'),
    })
    expect(await project.names()).toEqual([])
    const report = await project.build({ executionTime: NOW, fullRefresh: true, exclude: 'a.kept' })
    expect(builtModels(report)).toEqual(['a.other'])
  })
})

test('another value of a variable builds the models that use it, and their descendants', async () => {
  const root = await createProject({
    'config.yaml': `${CONFIG}variables: { least: 1 }\n`,
    'models/uses.sql': 'MODEL (name a.uses, kind FULL);\nSELECT @least AS v',
    'models/reads.sql': 'MODEL (name a.reads, kind FULL);\nSELECT v FROM a.uses',
    'models/other.sql': 'MODEL (name a.other, kind FULL);\nSELECT 1 AS x',
  })
  const project = await openProject(server, root)
  await project.build({ executionTime: NOW })
  const report = await project.build({ executionTime: NOW, vars: { least: '5' } })
  expect(builtModels(report)).toEqual(['a.reads', 'a.uses'])
  expect(await project.rows('SELECT v FROM a.reads')).toEqual([{ v: 5 }])
  expect(builtModels(await project.build({ executionTime: NOW, vars: { least: '5' } }))).toEqual([])
})

/** For what sends no event: looks again every 20 ms, for at most 20 s. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('it did not come true in 20 s')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
