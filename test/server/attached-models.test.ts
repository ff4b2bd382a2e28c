/** What models of attached catalogs may be called, read and stand in the way of. */
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { builtModels, openProject, type BuiltProject } from '../helpers/built-project.ts'
import { createProject, query, writeFiles } from '../helpers/project.ts'
import { watchStatements } from '../helpers/watch-statements.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'
import { stateVerb } from '../../src/cli/verbs/state.ts'
import { runVerb } from '../cli/run-verb.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

const NOW = '2024-01-04'

interface Attached {
  /** What is in `side.duckdb` before. */
  before?: string
  catalogs?: Record<string, unknown>
  database?: string
  /** Leases at once. */
  tasks?: number
}

async function openAttached(
  files: Record<string, string>,
  { before, catalogs = { side: 'side.duckdb' }, database = 'w.duckdb', tasks = 8 }: Attached = {},
): Promise<BuiltProject> {
  const own = database === '' ? {} : { database }
  const connection = { type: 'duckdb', ...own, catalogs, concurrent_tasks: tasks }
  const root = await createProject({ ...files, 'config.yaml': config(connection) })
  if (before !== undefined) await query(join(root, 'side.duckdb'), before)
  return openProject(server, root, { connection })
}

function config(connection: Record<string, unknown>): string {
  return `project: shop
gateways: { all: { connection: ${JSON.stringify(connection)} } }
model_defaults: { dialect: duckdb, start: 2024-01-01 }`
}

const TWO = {
  'models/one.sql': 'MODEL (name a.one, kind FULL); SELECT 1 AS x',
  'models/two.sql': 'MODEL (name side.a.two, kind FULL); SELECT x + 1 AS x FROM a.one',
}

describe('what a model of an attached catalog reads', () => {
  it('means the main database where no catalog is written; tables of every database, embedded models and itself too', async () => {
    const project = await openAttached(
      {
        ...TWO,
        'models/shared.sql': 'MODEL (name a.shared, kind EMBEDDED); SELECT one.x, t.y FROM a.one, raw.t',
        'models/both.sql': `MODEL (name side.b.both, kind FULL, columns (x INTEGER, y VARCHAR, z VARCHAR, runs INTEGER));
          SELECT s.x, s.y, o.y AS z, (SELECT count(*)::INTEGER FROM side.b.both) AS runs FROM a.shared AS s, side.raw.t AS o`,
        'models/view.sql':
          'MODEL (name side.b.view, kind VIEW); SELECT raw.t.y, x FROM raw.t, a.shared AS one WHERE t.y = one.y',
      },
      { before: "CREATE SCHEMA raw; CREATE TABLE raw.t AS SELECT 'side' AS y" },
    )
    await project.run("CREATE SCHEMA raw; CREATE TABLE raw.t AS SELECT 'main' AS y")
    const first = await project.build({ executionTime: NOW })
    expect(first.models.map(({ error }) => error)).toEqual([null, null, null, null, null])
    expect(first).toMatchObject({ status: 'succeeded', promoted: true })
    expect(await project.rows('FROM side.b.both')).toEqual([{ x: 1, y: 'main', z: 'side', runs: 0 }])
    expect(await project.rows('FROM side.b.view')).toEqual([{ y: 'main', x: 1 }])
    const second = await project.build({ executionTime: NOW })
    expect(builtModels(second)).toEqual([])
  })

  it('is looked for in all databases, also while the main one is not there yet', async () => {
    const project = await openAttached(
      { 'models/copy.sql': 'MODEL (name a.copy, kind FULL); SELECT y FROM side.raw.t' },
      { before: "CREATE SCHEMA raw; CREATE TABLE raw.t AS SELECT 'side' AS y" },
    )
    expect(await project.plan({ executionTime: NOW })).toMatchObject({ changes: [{ model: 'a.copy' }] })
    expect(await project.build({ executionTime: NOW })).toMatchObject({ status: 'succeeded' })
    await writeFiles(project.root, { 'models/copy.sql': 'MODEL (name a.copy, kind FULL); SELECT y FROM side.raw.tt' })
    await expect(project.plan({ executionTime: NOW })).rejects.toMatchObject({
      code: 'UNKNOWN_TABLE',
      hint: "Did you mean 'side.raw.t'?",
    })
  })
})

describe('the catalog of a model', () => {
  it('must be one that is written to: the plan says why it is none', async () => {
    const files = {
      'models/one.sql': 'MODEL (name side.a.one, kind FULL); SELECT 1 AS x',
      'models/two.sql': 'MODEL (name sidee.a.two, kind FULL); SELECT 1 AS x',
      'models/three.sql': 'MODEL (name lite.a.three, kind FULL); SELECT 1 AS x',
    }
    const project = await openAttached(files, {
      before: 'CREATE TABLE t AS SELECT 1 AS x',
      catalogs: { side: { path: 'side.duckdb', read_only: true }, lite: 'sqlite:lite.sqlite' },
    })
    const error = await project.plan({ executionTime: NOW }).catch((caught: unknown) => caught)
    expect(error).toMatchObject({
      code: 'PROJECT',
      problems: [
        {
          code: 'CONFIG',
          file: 'models/three.sql',
          message: expect.stringContaining('connection.catalogs.lite is a SQLite file, attached for reading'),
          hint: expect.stringContaining('build into a DuckDB file'),
        },
        {
          code: 'CONFIG',
          file: 'models/one.sql',
          message: expect.stringContaining('connection.catalogs.side is attached read-only'),
          hint: expect.stringContaining('read_only: false'),
        },
        { code: 'CONFIG', file: 'models/two.sql', hint: "Did you mean 'side'?" },
      ],
    })
  })

  it('is the first attached one where no database is written', async () => {
    const project = await openAttached(
      { 'models/one.sql': 'MODEL (name a.one, kind FULL); SELECT 1 AS x' },
      { database: '' },
    )
    expect(await project.build({ executionTime: NOW })).toMatchObject({ status: 'succeeded', promoted: true })
    expect(await project.rows('SELECT x, current_database() AS db FROM side.a.one')).toEqual([{ x: 1, db: 'side' }])
  })

  it('needs no second lease where a connection gives one at a time', async () => {
    const project = await openAttached(TWO, { tasks: 1 })
    expect(await project.build({ executionTime: NOW })).toMatchObject({ status: 'succeeded', promoted: true })
    await rm(join(project.root, 'models/two.sql'))
    expect(await project.build({ executionTime: NOW })).toMatchObject({ status: 'succeeded', promoted: true })
    expect(await project.rows("SELECT 1 FROM duckdb_views() WHERE database_name = 'side' AND NOT internal")).toEqual([])
  })

  it('may be taken out of the project, with its models: their views stay behind, and the rest goes on', async () => {
    const project = await openAttached(TWO)
    await project.build({ executionTime: NOW })
    await project.stop()
    await rm(join(project.root, 'models/two.sql'))
    const connection = { type: 'duckdb', database: 'w.duckdb' }
    await writeFiles(project.root, { 'config.yaml': config(connection) })
    const alone = await openProject(server, project.root, { connection })
    expect(await alone.build({ executionTime: NOW })).toMatchObject({ status: 'succeeded', promoted: true })
    expect(await alone.rows('SELECT model FROM millrace.environment_models')).toEqual([{ model: 'a.one' }])
    await alone.stop()
    expect(await query(join(project.root, 'side.duckdb'), 'FROM a.two')).toEqual([{ x: 2 }])
  })
})

describe('names that exist already', () => {
  it('are found in every catalog, all of them; --adopt renames them at the promotion', async () => {
    const project = await openAttached(TWO, { before: 'CREATE SCHEMA a; CREATE TABLE a.two AS SELECT 7 AS mine' })
    await project.run('CREATE SCHEMA a; CREATE VIEW a.one AS SELECT 8 AS mine')
    const error = await project.build({ executionTime: NOW }).catch((caught: unknown) => caught)
    expect(error).toMatchObject({
      problems: [
        { code: 'NAME_TAKEN', message: expect.stringContaining("a view 'a.one'") },
        { code: 'NAME_TAKEN', file: 'models/two.sql', message: expect.stringContaining("a table 'side.a.two'") },
      ],
    })
    expect(await project.build({ executionTime: NOW, adopt: true })).toMatchObject({ promoted: true })
    expect(
      await project.rows(
        'SELECT (FROM side.a.two) AS two, (FROM side.a.two__before_millrace) AS before, (FROM a.one__before_millrace) AS one',
      ),
    ).toEqual([{ two: 2, before: 7, one: 8 }])
  })

  it('are ours where the attached database says so, when the main one is new', async () => {
    const project = await openAttached(TWO)
    await project.build({ executionTime: NOW })
    await project.stop()
    await rm(join(project.root, 'w.duckdb'))
    await writeFiles(project.root, { 'models/two.sql': TWO['models/two.sql'].replace('x + 1', 'x + 10') })
    const again = await openProject(server, project.root, {
      connection: { type: 'duckdb', database: 'w.duckdb', catalogs: { side: 'side.duckdb' } },
    })
    expect(await again.build({ executionTime: NOW })).toMatchObject({ status: 'succeeded', promoted: true })
    expect(await again.rows('FROM side.a.two')).toEqual([{ x: 11 }])
  })
})

it('what stops a promotion in a catalog is named, and the next plan ends it when that is gone', async () => {
  const project = await openAttached(TWO)
  await project.build({ executionTime: NOW })
  await writeFiles(project.root, {
    'models/one.sql': 'MODEL (name a.one, kind FULL); SELECT 2 AS x',
    'models/three.sql': 'MODEL (name side.a.three, kind FULL); SELECT x FROM side.a.two',
  })
  let isTaken = false
  const ended = watchStatements({
    // The name was free when the build was planned.
    before: async ({ sql }) => {
      if (isTaken || !sql.includes('"a"."three" AS')) return
      isTaken = true
      await project.run('CREATE TABLE side.a.three AS SELECT 1 AS mine')
    },
  })
  onTestFinished(ended)
  const stopped = { code: 'SQL', message: expect.stringContaining("stopped in catalog 'side'") }
  await expect(project.build({ executionTime: NOW })).rejects.toMatchObject(stopped)
  expect(await project.rows('SELECT (FROM a.one) AS one, (FROM side.a.two) AS two')).toEqual([{ one: 1, two: 2 }])
  await expect(project.plan({ executionTime: NOW })).rejects.toMatchObject(stopped)
  await project.run('DROP TABLE side.a.three')
  expect(await project.plan({ executionTime: NOW })).toMatchObject({ changes: [], backfills: [] })
  expect(await project.rows('SELECT (FROM a.one) AS one, (FROM side.a.three) AS three')).toEqual([{ one: 2, three: 3 }])
})

it('state moves with all its databases', async () => {
  const project = await openAttached(TWO)
  await project.build({ executionTime: NOW })
  await project.stop()
  const file = join(tmpdir(), `millrace-attached-${process.pid}.json`)
  await runVerb(stateVerb, project.root, ['export', file])
  for (const name of ['w.duckdb', 'side.duckdb']) {
    await query(join(project.root, name), 'DROP SCHEMA millrace CASCADE')
  }
  const { document } = await runVerb<{ rows: Record<string, number> }>(stateVerb, project.root, ['import', file])
  expect(document).toMatchObject({
    rows: { versions: 2, ledger: 2, environments: 2 },
    missingTables: [],
    missingViews: [],
  })
  await rm(file)
  const again = await openProject(server, project.root, {
    connection: { type: 'duckdb', database: 'w.duckdb', catalogs: { side: 'side.duckdb' } },
  })
  const report = await again.build({ executionTime: NOW })
  expect(report).toMatchObject({ status: 'succeeded', promoted: false })
  expect(builtModels(report)).toEqual([])
})
