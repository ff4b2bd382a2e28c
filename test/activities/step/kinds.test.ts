/** Steps of the kinds that merge into their table, in every shape a step has: a transaction, a string for a server, a staged write to a lake. */
import { ApplicationFailure } from '@temporalio/common'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { planForAttempts, type AttemptOptions, type PlannedProject } from '../../helpers/attempts.ts'
import { extensionDirectory } from '../../helpers/extensions.ts'
import { startQuackServer, type QuackServer } from '../../helpers/quack-server.ts'
import { watchStatements } from '../../helpers/watch-statements.ts'
import type { StepOutcome } from '../../../src/payloads.ts'
import { physicalRelation } from '../../../src/sql/physical.ts'

const NOW = '2024-01-11T00:00:00Z'
const DAY_MS = 86_400_000

/** Of each model, what its source holds on the first and on the second day. */
const FIRST = `DATE '2024-01-01'`
const FILES = {
  // Duplicates and NULLs in the very first load.
  'models/keyed.sql': `MODEL (name a.keyed, description 'what it''s of', column_descriptions (x = 'one', absent = 'none'), kind INCREMENTAL_BY_UNIQUE_KEY (unique_key (x, y)));
    SELECT day, x, y, v FROM (VALUES
      (${FIRST}, 1, NULL, 1), (${FIRST}, 1, NULL, 9), (${FIRST}, NULL, 1, 2), (${FIRST}, 1, NULL, NULL), (${FIRST}, 3, 3, 3),
      (${FIRST} + 1, 1, NULL, 5), (${FIRST} + 1, 4, 4, 4)) AS s(day, x, y, v)
    WHERE day BETWEEN @start_date AND @end_date`,
  'models/told.sql': `MODEL (name a.told, kind FULL, description 'told', column_descriptions (N = 'a number', absent = 'none'));
    SELECT 1 AS n`,
  'models/seen.sql': `MODEL (name a.seen, kind VIEW, description 'seen');
    SELECT 1 AS n -- a number seen`,
  'models/merged.sql': `MODEL (name a.merged, kind INCREMENTAL_BY_UNIQUE_KEY (
      unique_key id,
      when_matched (WHEN MATCHED AND source.v > target.v THEN UPDATE SET target.v = source.v, target.changed = @start_date),
      merge_filter target.id < @VAR('most', 100)
    ));
    SELECT day AS changed, id, v FROM (VALUES (${FIRST}, 1, 5), (${FIRST}, 2, 5), (${FIRST} + 1, 1, 4), (${FIRST} + 1, 2, 6)) AS s(day, id, v)
    WHERE day BETWEEN @start_date AND @end_date`,
  'models/parts.sql': `MODEL (name a.parts, kind INCREMENTAL_BY_PARTITION, partitioned_by (region, year(born)));
    SELECT region, born, v FROM (VALUES
      (${FIRST}, 'eu', DATE '2023-05-05', 1), (${FIRST}, 'eu', DATE '2024-05-05', 2), (${FIRST}, NULL, NULL, 3), (${FIRST}, NULL, NULL, 4),
      (${FIRST} + 1, 'eu', DATE '2023-06-06', 10), (${FIRST} + 1, NULL, NULL, 30)) AS s(day, region, born, v)
    WHERE day BETWEEN @start_date AND @end_date`,
  'models/history.sql': `MODEL (name a.history, kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns [v], invalidate_hard_deletes true));
    SELECT id, v, note FROM (VALUES
      (${FIRST}, 1, 1, NULL), (${FIRST}, NULL, 1, NULL), (${FIRST}, 3, 2, 'old'), (${FIRST}, 3, 3, 'old'),
      (${FIRST} + 1, 1, 2, 'new'), (${FIRST} + 1, NULL, 1, 'new')) AS s(day, id, v, note)
    WHERE day BETWEEN @start_date AND @end_date`,
  'models/stamped.sql': `MODEL (name a.stamped, kind SCD_TYPE_2 (unique_key id, time_data_type DATE), columns (id INT, v INT, updated_at DATE));
    SELECT id, v, updated_at FROM (VALUES
      (${FIRST}, 1, 1, ${FIRST}), (${FIRST}, 1, 2, ${FIRST} + 1), (${FIRST}, 2, 1, ${FIRST}),
      (${FIRST} + 1, 1, 3, ${FIRST} + 2), (${FIRST} + 1, 2, 9, ${FIRST})) AS s(day, id, v, updated_at)
    WHERE day BETWEEN @start_date AND @end_date`,
  // Its audit blocks until four builds have failed.
  'models/log.sql': `MODEL (name a.log, kind INCREMENTAL_UNMANAGED, audits (patience));
    SELECT @start_date AS day, range AS n FROM range(3);
    AUDIT (name patience);
    SELECT * FROM @this_model WHERE (SELECT count(*) FROM millrace.failures) < 4`,
  'models/appended.sql': `MODEL (name a.appended, kind INCREMENTAL_UNMANAGED);
    SELECT @start_date AS day, range AS n FROM range(3)`,
  'models/balance.sql': `MODEL (name a.balance, kind INCREMENTAL_UNMANAGED);
    SELECT @start_date::DATE AS day, CAST(coalesce(max(total), 0) + 1 AS BIGINT) AS total FROM a.balance`,
}

let folder: string
let extensions: string
let server: QuackServer
let stopServer: (() => Promise<void>) | null = null

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-kinds-'))
  extensions = await extensionDirectory('httpfs', 'quack', 'ducklake')
  server = await startQuackServer({
    file: join(folder, 'served.duckdb'),
    token: 'the-token',
    onEnd: (end) => (stopServer = end),
  })
}, 120_000)

afterAll(async () => {
  await stopServer?.()
  await rm(folder, { recursive: true, force: true })
})

function connections(): Record<string, Record<string, unknown> | undefined> {
  return {
    'a DuckDB file': undefined,
    'a Quack server': { type: 'quack', uri: server.uri, token: 'the-token', extension_directory: server.extensions },
    'a DuckLake': { type: 'ducklake', catalog: 'lake.ducklake', extension_directory: extensions },
  }
}

describe.each(['a DuckDB file', 'a Quack server', 'a DuckLake'])('in %s', (name) => {
  test('each kind holds what it should, whatever comes twice, or fails and comes again', async () => {
    const project = await planForAttempts(FILES, NOW, connections()[name])

    expect(await day(project, 'a.keyed', 1)).toMatchObject({ rows: 3, rowsDuplicate: 2 })
    expect(await tableOf(project, 'a.keyed', 'x, y, v')).toEqual([
      { x: 1, y: null, v: 9 },
      { x: 3, y: 3, v: 3 },
      { x: null, y: 1, v: 2 },
    ])
    const second = await day(project, 'a.keyed', 2)
    expect(second).toMatchObject({ rows: 2 })
    expect(second).not.toHaveProperty('rowsDuplicate')
    expect(await tableOf(project, 'a.keyed', 'x, y, v')).toEqual([
      { x: 1, y: null, v: 5 },
      { x: 3, y: 3, v: 3 },
      { x: 4, y: 4, v: 4 },
      { x: null, y: 1, v: 2 },
    ])

    for (const model of ['a.told', 'a.seen']) await day(project, model, 1)
    const onView = name === 'a DuckLake' ? [] : ['n: a number seen']
    expect(await commentsIn(project)).toEqual(['n: a number', ...onView, 'x: one', 'seen', 'told', "what it's of"])

    await day(project, 'a.merged', 1)
    await day(project, 'a.merged', 2)
    expect(await tableOf(project, 'a.merged', 'changed, id, v')).toEqual([
      { changed: '2024-01-01', id: 1, v: 5 },
      { changed: '2024-01-02', id: 2, v: 6 },
    ])

    expect(await day(project, 'a.parts', 1)).toMatchObject({ rows: 4 })
    expect(await day(project, 'a.parts', 2)).toMatchObject({ rows: 2 })
    expect(await tableOf(project, 'a.parts', 'region, v')).toEqual([
      { region: 'eu', v: 2 },
      { region: 'eu', v: 10 },
      { region: null, v: 30 },
    ])
    // Once more over the same day: each partition is there once.
    const { fresh: _, ...again } = { ...project.step('a.parts'), interval: interval(1) }
    for (const runId of ['again', 'once-more']) await project.attempt(again, { runId }).outcome
    expect(await tableOf(project, 'a.parts', 'region, v')).toEqual([
      { region: 'eu', v: 1 },
      { region: 'eu', v: 2 },
      { region: null, v: 3 },
      { region: null, v: 4 },
    ])

    for (const nth of [1, 2]) await day(project, 'a.balance', nth)
    expect(await tableOf(project, 'a.balance', 'total')).toEqual([{ total: 1 }, { total: 2 }])

    await expectHistories(project)
    await expectAppendedOnce(project)
    await expectBlockedFourTimes(project)
  })
})

async function expectHistories(project: PlannedProject): Promise<void> {
  expect(await day(project, 'a.history', 1)).toMatchObject({ rows: 3, rowsDuplicate: 1 })
  const first = await day(project, 'a.history', 2)
  expect(first).toMatchObject({ rows: 1 })
  expect(await day(project, 'a.history', 2, { number: 2 })).toEqual(first)
  const [epoch, now] = ['1970-01-01 00:00:00', NOW.replace('T', ' ').replace('Z', '')]
  expect(await tableOf(project, 'a.history', 'id, v, note, valid_from, valid_to')).toEqual([
    { id: 1, v: 1, note: null, valid_from: epoch, valid_to: now },
    { id: 1, v: 2, note: 'new', valid_from: now, valid_to: null },
    { id: 3, v: 3, note: 'old', valid_from: epoch, valid_to: now },
    { id: null, v: 1, note: 'new', valid_from: epoch, valid_to: null },
  ])
  expect(await day(project, 'a.stamped', 1)).toMatchObject({ rows: 2, rowsDuplicate: 1 })
  expect(await day(project, 'a.stamped', 2)).toMatchObject({ rows: 1 })
  expect(await tableOf(project, 'a.stamped', 'id, v, valid_from, valid_to')).toEqual([
    { id: 1, v: 2, valid_from: '1970-01-01', valid_to: '2024-01-03' },
    { id: 1, v: 3, valid_from: '2024-01-03', valid_to: null },
    { id: 2, v: 1, valid_from: '1970-01-01', valid_to: null },
  ])
}

async function expectAppendedOnce(project: PlannedProject): Promise<void> {
  const step = { ...project.step('a.appended'), interval: interval(1) }
  const first = await project.attempt(step).outcome
  expect(first).toMatchObject({ rows: 3 })
  expect(await project.attempt(step, { number: 2 }).outcome).toEqual(first)
  // Another build planned it too.
  expect(await project.attempt(step, { runId: 'other' }).outcome).toEqual(first)
  expect(await project.attempt(step, { runId: 'third', number: 2 }).outcome).toEqual(first)
  expect(await tableOf(project, 'a.appended', 'n')).toHaveLength(3)
}

async function expectBlockedFourTimes(project: PlannedProject): Promise<void> {
  for (const nth of [1, 2, 3, 4]) {
    const failure: unknown = await day(project, 'a.log', 1, { runId: `failing-${nth}` }).catch(
      (error: unknown) => error,
    )
    expect(failure).toBeInstanceOf(ApplicationFailure)
    expect(failure).toMatchObject({ type: 'AUDIT_FAILED' })
    expect(await tableOf(project, 'a.log', 'n')).toEqual([])
  }
  expect(await day(project, 'a.log', 1, { runId: 'passing' })).toMatchObject({ rows: 3 })
  expect(await tableOf(project, 'a.log', 'n')).toHaveLength(3)
}

test('a step that is interrupted at any of its statements, before or after the database has run it, appends once', async () => {
  const project = await planForAttempts(FILES, NOW)
  const first = await statementsOf(() => day(project, 'a.appended', 1))
  expect(first).toBeGreaterThan(4)
  let nth = 1
  for (const when of ['before', 'succeeded'] as const) {
    for (let broken = 0; broken < first; broken++) {
      nth += 1
      let statements = 0
      const end = watchStatements({
        [when]: () => {
          statements += 1
          if (statements === broken + 1) throw new Error('IO Error: the disk went away')
        },
      })
      onTestFinished(end)
      try {
        // Some break what belongs to no attempt, e.g. the way to the database: then Temporal tries again.
        await day(project, 'a.appended', nth).catch(() => day(project, 'a.appended', nth, { number: 2 }))
      } finally {
        end()
      }
      expect(await tableOf(project, 'a.appended', 'n')).toHaveLength(3 * nth)
    }
  }
}, 60_000)

test('a step asks DuckDB no more than it needs to', async () => {
  const project = await planForAttempts(
    {
      'models/full.sql': 'MODEL (name a.full, kind FULL);\nSELECT 1 AS n',
      'models/view.sql': 'MODEL (name a.view, kind VIEW);\nSELECT 1 AS n',
      'models/days.sql':
        'MODEL (name a.days, kind INCREMENTAL_BY_TIME_RANGE (time_column day));\nSELECT @start_date AS day',
    },
    NOW,
  )
  // The fence, the write, the end.
  expect(await statementsOf(() => day(project, 'a.full', 1))).toBe(3)
  expect(await statementsOf(() => day(project, 'a.view', 1))).toBe(3)
  // The table and its columns; stage, delete, insert, count, the end.
  expect(await statementsOf(() => day(project, 'a.days', 1))).toBe(7)
})

async function statementsOf(work: () => Promise<unknown>): Promise<number> {
  let statements = 0
  // Queries are parsed by a DuckDB too.
  const isWork = (sql: string): boolean => !sql.includes('json_serialize_sql')
  const end = watchStatements({ before: ({ sql }) => void (isWork(sql) && statements++) })
  onTestFinished(end)
  await work()
  end()
  return statements
}

/** On physical tables and views, those on columns first. */
async function commentsIn(project: PlannedProject): Promise<string[]> {
  const here = `schema_name = 'millrace__a' AND database_name = current_database() AND comment IS NOT NULL`
  const rows = await project.rows<{ said: string }>(
    `SELECT column_name || ': ' || comment AS said, 0 AS nth FROM duckdb_columns() WHERE ${here}
     UNION ALL SELECT comment, 1 FROM duckdb_tables() WHERE ${here}
     UNION ALL SELECT comment, 1 FROM duckdb_views() WHERE ${here} ORDER BY nth, said`,
  )
  return rows.map(({ said }) => said)
}

/** Builds a model's nth day, in a build of its own. */
async function day(
  project: PlannedProject,
  model: string,
  nth: number,
  options: AttemptOptions = {},
): Promise<StepOutcome> {
  const step = { ...project.step(model), interval: interval(nth) }
  return project.attempt(step, { runId: `day-${nth}`, ...options }).outcome
}

function interval(nth: number): [number, number] {
  const start = Date.parse('2024-01-01T00:00:00Z') + (nth - 1) * DAY_MS
  return [start, start + DAY_MS]
}

async function tableOf(project: PlannedProject, model: string, columns: string): Promise<unknown[]> {
  const [schema = '', name = ''] = model.split('.')
  const { version } = project.step(model)
  const table = physicalRelation({ catalog: null, schema, name }, version)
  return project.rows(`SELECT ${columns} FROM "${table.schema}"."${table.name}" ORDER BY ALL`)
}
