/** Models in the main database and in attached ones: each has its tables, views and state, and one promotion moves them all. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { BuildInput, BuildSummary } from '../../src/payloads.ts'
import { builtModels, modelOf, openProject, statuses, type BuiltProject } from '../helpers/built-project.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { FULL_SIZE } from '../helpers/full-size.ts'
import { createProject, writeFiles } from '../helpers/project.ts'
import { startWorkerProcess } from '../helpers/worker-process.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

let server: TestServer
let extensions: string
beforeAll(async () => {
  extensions = await extensionDirectory('ducklake')
  server = await startTestServer()
}, 120_000)
afterAll(() => server.close())

const NOW = '2024-01-04'

//  a.base ──► side.a.days ──► a.total ──► lake.a.kept ──► a.last
//     └─────► side.a.seen (view)                 └──► side.a.back (view)
const MODELS = {
  'seeds/names.csv': 'id,name\n1,one\n2,two\n3,three\n',
  'models/base.sql': `MODEL (name a.base, kind SEED (path '../seeds/names.csv'));`,
  'models/days.sql': `MODEL (name side.a.days, kind INCREMENTAL_BY_TIME_RANGE (time_column ds, batch_size 1), start '2024-01-01', end '2024-01-03');
    SELECT ds, id FROM a.base, (SELECT unnest(range(DATE '2024-01-01', DATE '2024-01-05', INTERVAL 1 DAY))::DATE AS ds) WHERE ds BETWEEN @start_ds AND @end_ds`,
  'models/seen.sql': 'MODEL (name side.a.seen, kind VIEW); SELECT count(*)::INTEGER AS n FROM a.base',
  'models/total.sql': `MODEL (name a.total, kind FULL, audits (not_null(columns := (n))));
    SELECT sum(id)::INTEGER AS n, count(*)::INTEGER AS rows FROM side.a.days`,
  'models/kept.sql': `MODEL (name lake.a.kept, kind FULL, audits (not_null(columns := (n))));
    SELECT n, rows, 'kept' AS word FROM a.total`,
  'models/back.sql': 'MODEL (name side.a.back, kind VIEW); SELECT lake.a.kept.n FROM lake.a.kept',
  'models/last.sql': 'MODEL (name a.last, kind VIEW); SELECT n + 1 AS n FROM lake.a.kept',
}

async function createAttached(files: Record<string, string> = MODELS, more: Record<string, unknown> = {}) {
  const connection = {
    type: 'duckdb',
    database: 'w.duckdb',
    extension_directory: extensions,
    catalogs: { side: 'side.duckdb', lake: { path: 'ducklake:lake.ducklake', data_path: 'lake-data' }, ...more },
  }
  const root = await createProject({
    ...files,
    'config.yaml': `gateways: { all: { connection: ${JSON.stringify(connection)} } }
model_defaults: { dialect: duckdb, start: 2024-01-01, cron: '@daily' }`,
  })
  return { root, connection }
}

async function openAttached(files?: Record<string, string>, more?: Record<string, unknown>): Promise<BuiltProject> {
  const { root, connection } = await createAttached(files, more)
  return openProject(server, root, { connection })
}

const OLD = { total: 18, days: 9, seen: 3, kept: 18, back: 18, last: 19 }

/** What people read. */
const RESULTS = `SELECT (SELECT n FROM a.total) AS total, (SELECT count(*)::INTEGER FROM side.a.days) AS days, (SELECT n FROM side.a.seen) AS seen,
  (SELECT n FROM lake.a.kept) AS kept, (SELECT n FROM side.a.back) AS back, (SELECT n FROM a.last) AS last`

const NAMES = `SELECT database_name || '.' || schema_name || '.' || view_name AS name FROM duckdb_views()
  WHERE NOT internal AND NOT schema_name.starts_with('millrace') AND database_name IN ('w', 'side', 'lake') ORDER BY ALL`

async function viewNames(project: BuiltProject): Promise<string[]> {
  return (await project.rows(NAMES)).map(({ name }) => String(name))
}

describe('a build over three databases', () => {
  it('writes each model where its name says, with its state beside it, and does nothing the second time', async () => {
    const project = await openAttached()
    const first = await project.build({ executionTime: NOW })
    expect(first).toMatchObject({ status: 'succeeded', promoted: true, counts: { success: 7, error: 0 } })
    expect(await project.rows(RESULTS)).toEqual([OLD])
    expect(await viewNames(project)).toEqual([
      'lake.a.kept',
      'side.a.back',
      'side.a.days',
      'side.a.seen',
      'w.a.base',
      'w.a.last',
      'w.a.total',
    ])
    for (const [catalog, models] of Object.entries({
      w: ['a.base', 'a.last', 'a.total'],
      side: ['side.a.back', 'side.a.days', 'side.a.seen'],
      lake: ['lake.a.kept'],
    })) {
      const [state] = await project.rows(
        `SELECT (SELECT list(DISTINCT model ORDER BY model) FROM ${catalog}.millrace.steps) AS steps,
          (SELECT list(DISTINCT model ORDER BY model) FROM ${catalog}.millrace.ledger JOIN ${catalog}.millrace.versions USING (version)) AS ledger,
          (SELECT count(*)::INTEGER FROM ${catalog}.millrace.builds) AS builds`,
      )
      expect(state, catalog).toEqual({ steps: models, ledger: models, builds: catalog === 'w' ? 1 : 0 })
    }
    // Views name no catalog where view and table share a database.
    const own = await project.rows(
      `SELECT DISTINCT contains(sql, 'side.') OR contains(sql, 'lake.') OR contains(sql, 'w.') AS names_one
       FROM duckdb_views() WHERE NOT internal AND schema_name = 'a' AND database_name <> 'lake'`,
    )
    expect(own).toEqual([{ names_one: false }])

    const second = await project.build({ executionTime: NOW })
    expect(second).toMatchObject({ status: 'succeeded', promoted: false })
    expect(builtModels(second)).toEqual([])
    expect(await project.plan({ executionTime: NOW })).toMatchObject({ changes: [], backfills: [] })
  })

  it('moves the changed models of all databases in one promotion, and drops the views of removed ones', async () => {
    const project = await openAttached()
    await project.build({ executionTime: NOW })
    await rm(join(project.root, 'models/back.sql'))
    await writeFiles(project.root, {
      'models/seen.sql': MODELS['models/seen.sql'].replace('count(*)', 'count(*) * 10'),
      'models/kept.sql': MODELS['models/kept.sql'].replace('SELECT n,', 'SELECT n * 100 AS n,'),
      'models/last.sql': MODELS['models/last.sql'].replace('n + 1', 'n + 2'),
    })
    const report = await project.build({ executionTime: NOW })
    expect(report).toMatchObject({ status: 'succeeded', promoted: true })
    expect(builtModels(report)).toEqual(['a.last', 'lake.a.kept', 'side.a.seen'])
    expect(
      await project.rows(
        'SELECT (FROM side.a.seen) AS seen, (SELECT n FROM lake.a.kept) AS kept, (FROM a.last) AS last',
      ),
    ).toEqual([{ seen: 30, kept: 1800, last: 1802 }])
    expect(await viewNames(project)).not.toContain('side.a.back')
    expect(await project.rows('SELECT list(revision::INTEGER) AS revisions FROM millrace.environments')).toEqual([
      { revisions: [2] },
    ])
    expect(await project.rows('FROM millrace.promotion_journal')).toEqual([])
  })

  it('moves no view of any database when an audit fails in one', async () => {
    const project = await openAttached()
    await project.build({ executionTime: NOW })
    const before = await project.rows(RESULTS)
    await writeFiles(project.root, {
      'models/seen.sql': MODELS['models/seen.sql'].replace('count(*)', 'count(*) * 10'),
      'models/total.sql': MODELS['models/total.sql'].replace('sum(id)', 'sum(id) + 1'),
      'models/kept.sql': MODELS['models/kept.sql'].replace('SELECT n,', 'SELECT NULL::INTEGER AS n,'),
    })
    const report = await project.build({ executionTime: NOW })
    expect(report).toMatchObject({ status: 'failed', promoted: false })
    expect(statuses(report)).toMatchObject({
      'lake.a.kept': 'error',
      'a.total': 'success',
      'a.last': 'skipped',
      'side.a.seen': 'success',
    })
    expect(modelOf(report, 'lake.a.kept')).toMatchObject({
      error: { code: 'AUDIT_FAILED' },
      audits: [{ name: 'not_null', status: 'fail', failures: 1 }],
    })
    expect(await project.rows(RESULTS)).toEqual(before)
  })
})

/** Changes in each of the three databases, and a model less. */
const CHANGED = {
  'models/seen.sql': 'MODEL (name side.a.seen, kind VIEW); SELECT count(*)::INTEGER * 10 AS n FROM a.base',
  'models/total.sql': MODELS['models/total.sql'].replace('sum(id)', 'sum(id) + 2'),
}
const NEW = { total: 20, days: 9, seen: 30, kept: 20, back: 20, last: 21 }

describe('a worker that dies in mid-promotion', () => {
  interface Death {
    name: string
    /** It dies after the commit of a transaction that says this. */
    commitOf: string[]
    /** What is read then. */
    moved: { kept?: number; seen?: number }
  }
  const BEGUN: Death = { name: 'begun', commitOf: ['INSERT INTO millrace.promotion_journal'], moved: {} }
  const LAKE: Death = { name: 'the lake', commitOf: ['promotion_lock', '"a"."kept"'], moved: { kept: 20 } }
  const SIDE: Death = { name: 'side', commitOf: ['promotion_lock', '"a"."seen"'], moved: { kept: 20, seen: 30 } }

  /** A first build, and a second one whose worker died. @returns the second one's workflow and queue. */
  async function die({ name, commitOf }: Death) {
    const { root, connection } = await createAttached()
    const first = await openProject(server, root, { connection })
    expect(await first.build({ executionTime: NOW })).toMatchObject({ promoted: true })
    await first.stop()
    await writeFiles(root, CHANGED)
    const script = { address: server.server.address, taskQueue: `died after ${name}`, project: root, slots: 4 }
    const worker = startWorkerProcess({ ...script, dieAfterCommitOf: commitOf })
    const handle = await server.client.workflow.start<(input: BuildInput) => Promise<BuildSummary>>('buildProject', {
      taskQueue: script.taskQueue,
      workflowId: `${script.taskQueue} ${root}`,
      workflowTaskTimeout: '2s',
      args: [{ executionTime: NOW }],
    })
    expect(await worker.ended).toBe('SIGKILL')
    return { root, connection, script, handle }
  }

  async function state(project: BuiltProject): Promise<unknown> {
    const [row] = await project.rows(
      `SELECT (SELECT list(revision::INTEGER) FROM millrace.environments) AS revisions,
        (SELECT count(*)::INTEGER FROM millrace.promotion_journal) AS begun,
        (SELECT list(promoted ORDER BY started_at) FROM millrace.builds) AS promoted`,
    )
    return row
  }

  it.each(FULL_SIZE ? [BEGUN, LAKE, SIDE] : [LAKE])(
    'leaves a promotion ($name) that the next plan ends',
    async (death) => {
      const { root, connection, handle } = await die(death)
      await handle.terminate()
      const project = await openProject(server, root, { connection })
      // Nothing of the main database has moved, and it says so.
      expect(await state(project)).toEqual({ revisions: [1], begun: 1, promoted: [true, false] })
      expect(
        await project.rows(
          'SELECT (SELECT n FROM a.total) AS total, (SELECT n FROM lake.a.kept) AS kept, (SELECT n FROM side.a.seen) AS seen',
        ),
      ).toEqual([{ total: 18, kept: 18, seen: 3, ...death.moved }])
      expect(await project.plan({ executionTime: NOW })).toMatchObject({ changes: [], backfills: [] })
      expect(await project.rows(RESULTS)).toEqual([NEW])
      expect(await state(project)).toEqual({ revisions: [2], begun: 0, promoted: [true, true] })
      const again = await project.build({ executionTime: NOW })
      expect(again).toMatchObject({ status: 'succeeded', promoted: false })
      expect(builtModels(again)).toEqual([])
    },
  )

  it('leaves one that the next build ends, before it makes its own', async () => {
    const { root, connection, handle } = await die(SIDE)
    await handle.terminate()
    await writeFiles(root, { 'models/last.sql': MODELS['models/last.sql'].replace('n + 1', 'n + 5') })
    const project = await openProject(server, root, { connection })
    const report = await project.build({ executionTime: NOW })
    expect(report).toMatchObject({ status: 'succeeded', promoted: true })
    expect(builtModels(report)).toEqual(['a.last'])
    expect(await project.rows(RESULTS)).toEqual([{ ...NEW, last: 25 }])
    expect(await state(project)).toEqual({ revisions: [3], begun: 0, promoted: [true, true, true] })
  })

  it('is followed by another one, which goes on where it stopped', async () => {
    const { root, connection, script, handle } = await die(LAKE)
    const second = startWorkerProcess(script)
    expect(await handle.result()).toMatchObject({ status: 'succeeded', promoted: true })
    await second.kill()
    const project = await openProject(server, root, { connection })
    expect(await project.rows(RESULTS)).toEqual([NEW])
    expect(await state(project)).toEqual({ revisions: [2], begun: 0, promoted: [true, true] })
  })
})
