/** Steps on a real Quack server: each is one string that commits whole or not at all. */
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { planForAttempts, type Attempt, type PlannedProject } from '../../helpers/attempts.ts'
import { extensionDirectory } from '../../helpers/extensions.ts'
import { startQuackServer, type QuackServer } from '../../helpers/quack-server.ts'
import { watchStatements, type StatementWatch, type WatchedStatement } from '../../helpers/watch-statements.ts'
import { physicalRelation } from '../../../src/sql/physical.ts'

const NOW = '2024-01-11T00:00:00Z'
const TOKEN = 'the-server-token'

/** Ten rows a day from 2024-01-01 on, built as one step of ten days. */
const DAYS = `MODEL (name a.days, kind INCREMENTAL_BY_TIME_RANGE (time_column day), audits (not_null(columns := (day))));
SELECT DATE '2024-01-01' + (n // 10)::INTEGER AS day, n FROM range(1000) AS t(n)
WHERE DATE '2024-01-01' + (n // 10)::INTEGER BETWEEN @start_ds AND @end_ds`

const FULL = `MODEL (name a.full, kind FULL, audits (not_null(columns := (n)), unique_values(columns := (n))));
SELECT range AS n FROM range(1000) -- a comment at its end`

let folder: string
let shared: QuackServer
let databases = 0
let endShared: (() => Promise<void>) | null = null

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-quack-'))
  await extensionDirectory('httpfs', 'quack')
  shared = await startQuackServer({
    file: join(folder, 'served.duckdb'),
    token: TOKEN,
    onEnd: (end) => (endShared = end),
  })
}, 120_000)

afterAll(async () => {
  await endShared?.()
  await rm(folder, { recursive: true, force: true })
})

interface OnServer {
  project: PlannedProject
  /** Runs SQL in the server itself. */
  run<T>(sql: string): Promise<T[]>
  /** The project's database there. */
  database: string
}

/** In a database of its own on the server of all tests. */
async function planOnServer(files: Record<string, string>): Promise<OnServer> {
  databases += 1
  const database = `database_${databases}`
  await shared.run(`ATTACH '${join(folder, database)}.duckdb' AS ${database}`)
  // Every session that begins is told of all tables there are.
  onTestFinished(async () => {
    await shared.run(`DETACH ${database}`)
  })
  const connection = { type: 'quack', uri: shared.uri, token: TOKEN, database, extension_directory: shared.extensions }
  return { database, run: (sql) => shared.run(sql), project: await planForAttempts(files, NOW, connection) }
}

describe('each kind', () => {
  test('FULL: the rows, their count, and how long it took are recorded with them', async () => {
    const { project } = await planOnServer({ 'models/full.sql': FULL })
    const step = project.step('a.full')

    expect(await project.attempt(step).outcome).toMatchObject({ rows: 1000, warnings: 0 })
    expect(await rowsOf(project, 'a.full')).toEqual([{ rows: 1000, each: 1000 }])
    const [recorded] = await results(project)
    expect(recorded).toMatchObject({ rows: 1000, rowsFiltered: 0, attempts: 1 })
    expect(recorded?.['audits']).toEqual([
      { name: 'not_null', status: 'pass', failures: 0 },
      { name: 'unique_values', status: 'pass', failures: 0 },
    ])
  })

  test('a step lasts as long as its query', async () => {
    const slow = `MODEL (name a.slow, kind FULL);
      SELECT sum(hash(range)) AS n FROM range(60000000)`
    const { project } = await planOnServer({ 'models/slow.sql': slow })
    const startedMs = Date.now()
    const { durationMs } = await project.attempt(project.step('a.slow')).outcome
    const took = Date.now() - startedMs
    expect(durationMs).toBeGreaterThan(took / 2)
    expect(durationMs).toBeLessThanOrEqual(took + 1)
  })

  test('INCREMENTAL_BY_TIME_RANGE: exactly its interval, by a ledger of days; rows outside are counted', async () => {
    const all = DAYS.replace('BETWEEN @start_ds AND @end_ds', "<= DATE '2024-01-12'")
    const { project } = await planOnServer({ 'models/days.sql': all })
    const step = project.step('a.days')

    expect(await project.attempt(step).outcome).toMatchObject({ rows: 100, rowsFiltered: 20 })
    expect(await rowsOf(project, 'a.days')).toEqual([{ rows: 100, each: 100 }])
    expect(await project.rows('SELECT count(*)::INTEGER AS days FROM millrace.ledger')).toEqual([{ days: 10 }])
  })

  test('VIEW', async () => {
    const { project } = await planOnServer({
      'models/full.sql': FULL,
      'models/view.sql': `MODEL (name a.view, kind VIEW, audits (not_null(columns := (n))));
        SELECT n FROM a.full WHERE n < 3`,
    })
    await project.attempt(project.step('a.full')).outcome
    expect(await project.attempt(project.step('a.view')).outcome).toMatchObject({ rows: null })
    expect(await rowsOf(project, 'a.view')).toEqual([{ rows: 3, each: 3 }])
  })

  test('SEED: its file is read here, types and all', async () => {
    const { project, ...server } = await planOnServer({
      'seeds/names.csv': 'id,name,price,ok\n1,one,0.5,true\n2,,1,false\n',
      'models/names.sql': `MODEL (name a.names, kind SEED (path '../seeds/names.csv'));`,
    })
    const step = project.step('a.names')
    expect(await project.attempt(step).outcome).toMatchObject({ rows: 2 })
    const table = tableOf(project, 'a.names')
    expect(await project.rows(`FROM ${table} ORDER BY id`)).toEqual([
      { id: 1, name: 'one', price: 0.5, ok: true },
      { id: 2, name: null, price: 1, ok: false },
    ])
    expect(await uploadsIn(server)).toEqual([])
  })

  test('one that reads itself', async () => {
    const { project } = await planOnServer({
      'models/self.sql': `MODEL (name a.self, kind FULL, columns (n BIGINT));
        SELECT count(*) + 7 AS n FROM a.self`,
    })
    expect(await project.attempt(project.step('a.self')).outcome).toMatchObject({ rows: 1 })
    expect(await project.rows(`FROM ${tableOf(project, 'a.self')}`)).toEqual([{ n: 7 }])
  })

  test('statements before and after the query belong to the step', async () => {
    const { project } = await planOnServer({
      'models/full.sql': `MODEL (name a.full, kind FULL);
        SET VARIABLE many = 5; -- five
        SELECT range AS n FROM range(getvariable('many'));
        INSERT INTO @this_model VALUES (99) -- and one more`,
    })
    expect(await project.attempt(project.step('a.full')).outcome).toMatchObject({ rows: 6 })
  })
})

describe('what fails leaves nothing', () => {
  test('a blocking audit, named with the rows it found', async () => {
    const { project, ...server } = await planOnServer({
      'models/full.sql': FULL.replace('SELECT range AS n', 'SELECT range // 2 AS n'),
    })
    const failure = await failureOf(project.attempt(project.step('a.full')))
    expect(failure).toMatchObject({ type: 'AUDIT_FAILED', nonRetryable: true })
    expect(failure.message).toContain('unique_values')
    expect(failure.message).toContain('found 500')
    expect(await recordedFailure(project)).toMatchObject({
      code: 'AUDIT_FAILED',
      attempts: 1,
      audits: [
        { name: 'not_null', status: 'pass', failures: 0 },
        { name: 'unique_values', status: 'fail', failures: 500 },
      ],
    })
    await expectNothing(project, server)
  })

  test('of a seed too', async () => {
    const { project, ...server } = await planOnServer({
      'seeds/names.csv': 'id,name\n1,one\n,two\n',
      'models/names.sql': `MODEL (name a.names, kind SEED (path '../seeds/names.csv'), audits (not_null(columns := (id))));`,
    })
    const failure = await failureOf(project.attempt(project.step('a.names')))
    expect(failure).toMatchObject({ type: 'AUDIT_FAILED' })
    await expectNothing(project, server)
  })

  test('a cell of a seed that is not of its type', async () => {
    const { project, ...server } = await planOnServer({
      'seeds/names.csv': 'id,name\n1,one\nx,two\n',
      'models/names.sql': `MODEL (name a.names, kind SEED (path '../seeds/names.csv'), columns (id INTEGER, name VARCHAR));`,
    })
    const failure = await failureOf(project.attempt(project.step('a.names')))
    expect(failure).toMatchObject({ type: 'SQL', nonRetryable: true })
    expect(failure.message).toContain('Conversion Error')
    await expectNothing(project, server)
  })

  test.each([
    [
      'the second of two equal lines',
      'SELECT (\n  SELECT\n  nope\n  FROM (SELECT 1 AS nope) AS t),\n  nope\nFROM range(3) AS t(n)',
      /nope.*\(models\/bad\.sql:6\)/s,
    ],
    [
      'a column that is not there',
      'SELECT\n  n,\n  n,\n  nope\nFROM range(3) AS t(n)',
      /nope.*\(models\/bad\.sql:5\)/s,
    ],
    [
      'a table that is not there',
      "SELECT n\nFROM range(3) AS t(n)\nJOIN read_csv('missing.csv') USING (n)",
      /No files found/,
    ],
    [
      'a value that cannot be converted',
      "SELECT\n  CAST('x' || range AS INTEGER) AS n FROM range(3)",
      /^Conversion Error.*models\/bad\.sql:\d/s,
    ],
    [
      'a statement behind the query',
      'SELECT 1 AS n;\nINSERT INTO @this_model VALUES (2);\nINSERT INTO @this_model\nSELECT nope',
      /nope.*\(models\/bad\.sql:5\)/s,
    ],
  ])('%s, at its line in the model', async (_, query, message) => {
    const { project, ...server } = await planOnServer({ 'models/bad.sql': `MODEL (name a.bad, kind FULL);\n${query}` })
    const failure = await failureOf(project.attempt(project.step('a.bad')))
    expect(failure).toMatchObject({ type: 'SQL', nonRetryable: true, message: expect.stringMatching(message) })
    expect(await recordedFailure(project)).toMatchObject({ code: 'SQL', attempts: 1 })
    await expectNothing(project, server)
  })

  test('an audit that only warns takes nothing with it', async () => {
    const { project } = await planOnServer({
      'models/full.sql': FULL.replace('not_null(columns', 'not_null_non_blocking(columns').replace(
        'SELECT range AS n',
        'SELECT nullif(range, 3) AS n',
      ),
    })
    expect(await project.attempt(project.step('a.full')).outcome).toMatchObject({ rows: 1000, warnings: 1 })
    expect(await project.rows('SELECT audits FROM millrace.audit_warnings')).toEqual([
      { audits: JSON.stringify([{ name: 'not_null_non_blocking', status: 'warn', failures: 1 }]) },
    ])
  })
})

describe('two attempts at once', () => {
  test.each(['run-1', 'run-2'])('over one range: one commits, the other returns its result (%s)', async (runId) => {
    const { project } = await planOnServer({ 'models/days.sql': DAYS })
    meetBeforeScripts(2)
    const step = project.step('a.days')

    const outcomes = await Promise.all([project.attempt(step).outcome, project.attempt(step, { runId }).outcome])

    expect(outcomes).toEqual([outcomes[0], outcomes[0]])
    expect(outcomes[0]).toMatchObject({ rows: 100 })
    expect(await rowsOf(project, 'a.days')).toEqual([{ rows: 100, each: 100 }])
    expect(await project.rows('SELECT count(*)::INTEGER AS days FROM millrace.ledger')).toEqual([{ days: 10 }])
    expect(await results(project)).toHaveLength(runId === 'run-1' ? 1 : 2)
  })

  test('over overlapping ranges: one commits, the other starts again on top of it', async () => {
    const { project } = await planOnServer({ 'models/days.sql': DAYS })
    meetBeforeScripts(2)
    const step = project.step('a.days')
    const day = (n: number): number => Date.parse('2024-01-01T00:00:00Z') + (n - 1) * 86_400_000

    const outcomes = await Promise.all([
      project.attempt({ ...step, interval: [day(1), day(6)] }).outcome,
      project.attempt({ ...step, interval: [day(4), day(9)] }, { runId: 'run-2' }).outcome,
    ])

    expect(outcomes).toMatchObject([{ rows: 50 }, { rows: 50 }])
    expect(await rowsOf(project, 'a.days')).toEqual([{ rows: 80, each: 80 }])
    expect(await project.rows('SELECT count(*)::INTEGER AS days FROM millrace.ledger')).toEqual([{ days: 8 }])
  })

  test('of a FULL model whose first worker is lost: what that one sent is waited for', async () => {
    const { project } = await planOnServer({ 'models/full.sql': FULL.replace('range(1000)', 'range(3000000)') })
    meetBeforeScripts(2)
    const step = project.step('a.full')

    const outcomes = await Promise.all([project.attempt(step).outcome, project.attempt(step, { number: 2 }).outcome])

    expect(outcomes).toEqual([outcomes[0], outcomes[0]])
    expect(await rowsOf(project, 'a.full')).toEqual([{ rows: 3_000_000, each: 3_000_000 }])
    expect(await results(project)).toHaveLength(1)
  })
})

describe('when the end of a script is lost', () => {
  test('after the server committed it, the ledger is asked: nothing is written twice', async () => {
    const { project } = await planOnServer({ 'models/days.sql': DAYS })
    let scripts = 0
    watch({
      succeeded: (statement) => {
        if (!isScript(statement)) return
        scripts += 1
        throw new Error('IO Error: Failed to send message: IO Error: Could not read the answer')
      },
    })
    expect(await project.attempt(project.step('a.days')).outcome).toMatchObject({ rows: 100 })
    expect(scripts).toBe(1)
    expect(await results(project)).toMatchObject([{ attempts: 1 }])
  })

  test('an attempt after the commit returns the recorded result and sends nothing', async () => {
    const { project } = await planOnServer({ 'models/full.sql': FULL })
    const step = project.step('a.full')
    const first = await project.attempt(step).outcome
    let scripts = 0
    watch({ before: (statement) => void (isScript(statement) && scripts++) })
    expect(await project.attempt(step, { number: 2 }).outcome).toEqual(first)
    expect(scripts).toBe(0)
  })

  test('by the death of the server, the step is built on the next one', async () => {
    const server = await startQuackServer({ file: join(folder, 'killed.duckdb'), token: TOKEN })
    const connection = { type: 'quack', uri: server.uri, token: TOKEN, extension_directory: server.extensions }
    const slow = '(SELECT sum(hash(range)) FROM range(60000000)) > 0'
    const project = await planForAttempts(
      { 'models/full.sql': FULL.replace('range(1000)', `range(1000) WHERE ${slow}`) },
      NOW,
      connection,
    )
    const restarts: Promise<void>[] = []
    watch({
      before: (statement) => {
        if (!isScript(statement) || restarts.length > 0) return
        restarts.push(pause(300).then(() => server.restart()))
      },
    })
    expect(await project.attempt(project.step('a.full')).outcome).toMatchObject({ rows: 1000 })
    expect(restarts).toHaveLength(1)
    await restarts[0]
    expect(await rowsOf(project, 'a.full')).toEqual([{ rows: 1000, each: 1000 }])
    expect(await results(project)).toHaveLength(1)
  })
})

test('a cancel waits for the server and changes nothing: what was sent is committed and reported', async () => {
  const { project } = await planOnServer({ 'models/full.sql': FULL.replace('range(1000)', 'range(3000000)') })
  const attempts: Attempt[] = []
  watch({ before: (statement) => void (isScript(statement) && setTimeout(() => attempts[0]?.cancel(), 50)) })
  attempts.push(project.attempt(project.step('a.full')))
  await expect(attempts[0]?.outcome).resolves.toMatchObject({ warnings: 0 })
  expect(await rowsOf(project, 'a.full')).toEqual([{ rows: 3_000_000, each: 3_000_000 }])
})

test('a cancel in mid-upload leaves nothing, and the next attempt builds the seed', async () => {
  const many = Array.from({ length: 200_000 }, (_, id) => `${id},label ${id}`)
  const { project, ...server } = await planOnServer({
    'seeds/many.csv': ['id,label', ...many].join('\n'),
    'models/many.sql': `MODEL (name a.many, kind SEED (path '../seeds/many.csv'));`,
  })
  const attempts: Attempt[] = []
  let uploads = 0
  watch({
    before: ({ sql }) => {
      if (!sql.includes('millrace_upload') || !sql.startsWith('CREATE TABLE')) return
      uploads += 1
      if (uploads === 1) setTimeout(() => attempts[0]?.cancel(), 20)
    },
  })
  attempts.push(project.attempt(project.step('a.many')))
  await expect(attempts[0]?.outcome).rejects.toBeInstanceOf(CancelledFailure)
  expect(uploads).toBe(1)
  await expectNothing(project, server)

  expect(await project.attempt(project.step('a.many'), { number: 2 }).outcome).toMatchObject({ rows: 200_000 })
  expect(await uploadsIn(server)).toEqual([])
})

async function uploadsIn({ run, database }: Omit<OnServer, 'project'>): Promise<unknown[]> {
  return run(
    `SELECT table_name FROM duckdb_tables() WHERE database_name = '${database}' AND table_name LIKE 'millrace_upload%'`,
  )
}

function tableOf(project: PlannedProject, model: string): string {
  const [schema = '', name = ''] = model.split('.')
  const { schema: physical, name: table } = physicalRelation(
    { catalog: null, schema, name },
    project.step(model).version,
  )
  return `"${physical}"."${table}"`
}

async function rowsOf(project: PlannedProject, model: string): Promise<unknown[]> {
  return project.rows(
    `SELECT count(*)::INTEGER AS rows, count(DISTINCT n)::INTEGER AS each FROM ${tableOf(project, model)}`,
  )
}

async function results(project: PlannedProject): Promise<Record<string, unknown>[]> {
  const rows = await project.rows<{ result: string }>('SELECT result FROM millrace.steps ORDER BY step')
  return rows.map(({ result }) => JSON.parse(result) as Record<string, unknown>)
}

async function failureOf({ outcome }: Attempt): Promise<ApplicationFailure> {
  const failure: unknown = await outcome.then(
    () => null,
    (error: unknown) => error,
  )
  if (!(failure instanceof ApplicationFailure)) throw new Error(`expected a failure; got ${String(failure)}`)
  return failure
}

async function recordedFailure(project: PlannedProject): Promise<unknown> {
  const [row] = await project.rows<{ failure: string }>('SELECT failure FROM millrace.failures')
  return JSON.parse(row?.failure ?? 'null')
}

async function expectNothing(project: PlannedProject, server: Omit<OnServer, 'project'>): Promise<void> {
  expect(await project.rows('FROM millrace.ledger')).toEqual([])
  expect(await project.rows('FROM millrace.steps')).toEqual([])
  const { run, database } = server
  expect(
    await run(
      `SELECT table_name FROM duckdb_tables() WHERE database_name = '${database}' AND schema_name = 'millrace__a'`,
    ),
  ).toEqual([])
  expect(await uploadsIn(server)).toEqual([])
}

/** Whether it is a step's whole string. */
function isScript({ transaction }: WatchedStatement): boolean {
  return transaction.at(-1)?.includes('INSERT INTO millrace.ledger') === true
}

/** The first `parties` scripts are sent together: none of their attempts has seen another's record. */
function meetBeforeScripts(parties: number): void {
  let arrived = 0
  let open: () => void = () => undefined
  const all = new Promise<void>((resolve) => (open = resolve))
  watch({
    before: async (statement) => {
      if (!isScript(statement)) return
      arrived += 1
      if (arrived === parties) open()
      await all
    },
  })
}

function watch(statements: StatementWatch): void {
  onTestFinished(watchStatements(statements))
}
