/** Schedules that start builds: made and steered by `schedule …` and by the Temporal CLI, on a real server. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { ScheduleReport } from '../../src/cli/schedule/read-schedule.ts'
import type { Applied } from '../../src/cli/schedule/apply.ts'
import { scheduleVerb } from '../../src/cli/verbs/schedule.ts'
import { createCron } from '../../src/graph/cron.ts'
import { resolveTemporalCli } from '../../src/temporal/temporal-cli.ts'
import type { BuildReport } from '../../src/payloads.ts'
import { errorOf, runVerb, type VerbResult } from '../cli/run-verb.ts'
import { openProject, type BuiltProject } from '../helpers/built-project.ts'
import { mostInFlight, scheduledActivities } from '../helpers/history.ts'
import { CONFIG, createProject, writeFiles } from '../helpers/project.ts'
import { until } from '../helpers/slow-build.ts'
import { startTestServer, TASK_QUEUE, type TestServer } from '../helpers/worker.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

interface AppliedDocument {
  dryRun: boolean
  schedules: (Applied & { name: string })[]
}

/** `schedule …` as it is typed, on the test's server. */
function schedule<T = unknown>(root: string, ...words: string[]): Promise<VerbResult<T>> {
  return runVerb<T>(scheduleVerb, root, [...words, '--address', server.server.address, '--task-queue', TASK_QUEUE])
}

async function describeIt(root: string, name = 'prod'): Promise<ScheduleReport> {
  return (await schedule<ScheduleReport>(root, 'describe', name)).document
}

/** A project called `name`, with a worker; its schedules end with the test, or they would go on firing. */
async function scheduledProject(
  name: string,
  files: Record<string, string>,
  concurrentTasks = 8,
): Promise<BuiltProject> {
  const config = CONFIG.replace('w.duckdb }', `w.duckdb, concurrent_tasks: ${concurrentTasks} }`)
  const root = await createProject({ 'config.yaml': `project: ${name}\n${config}`, ...files })
  const connection = { type: 'duckdb', database: join(root, 'w.duckdb'), concurrent_tasks: concurrentTasks }
  const project = await openProject(server, root, { connection })
  onTestFinished(async () => {
    for await (const { scheduleId } of server.client.schedule.list())
      await server.client.schedule.getHandle(scheduleId).delete()
  })
  return project
}

const DAYS = {
  'models/days.sql': `MODEL (name s.days, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1));
SELECT @start_date AS day, 1 AS n`,
}

describe('a schedule that fires while its builds take longer', () => {
  const RANGE = ['--start', '2024-01-01', '--end', '2024-01-03']

  /** One lease at a time: whoever holds it decides when builds go on. */
  async function heldProject(name: string): Promise<{ project: BuiltProject; release: () => Promise<void> }> {
    const project = await scheduledProject(name, DAYS, 1)
    const lease = await project.lease()
    return { project, release: () => lease.release() }
  }

  async function untilSeen(root: string, seen: (report: ScheduleReport) => boolean): Promise<ScheduleReport> {
    return until('the schedule to get there', async () => {
      const report = await describeIt(root)
      return seen(report) ? report : null
    })
  }

  const untilIdle = (root: string): Promise<ScheduleReport> =>
    untilSeen(root, ({ running, buffered }) => running.length === 0 && buffered === 0)

  const endings = ({ recent }: ScheduleReport): string[] => recent.map(({ status }) => status)

  test('skip: one runs, the others are counted and shown as skipped', async () => {
    const { project, release } = await heldProject('skips')
    await schedule(project.root, 'create', '--every', '1s', ...RANGE)
    await untilSeen(project.root, ({ skipped }) => skipped.overlap >= 2)
    await schedule(project.root, 'pause', '--note', 'enough')
    await release()
    const report = await untilIdle(project.root)
    expect(endings(report)).toEqual(['succeeded'])
    expect(report).toMatchObject({ paused: true, note: 'enough', started: 1 })
    const { text } = await schedule(project.root, 'describe')
    expect(text).toContain(`${report.skipped.overlap} as another ran`)
    expect(text).toContain('paused: enough')
    expect((await schedule(project.root, 'list')).text).toContain(`${report.skipped.overlap} as another ran`)
  })

  test('buffer-one: one waits and runs afterwards, those beyond are skipped', async () => {
    const { project, release } = await heldProject('buffers')
    await schedule(project.root, 'create', '--every', '1s', '--overlap', 'buffer-one', ...RANGE)
    const held = await untilSeen(project.root, ({ skipped }) => skipped.overlap >= 1)
    expect(held).toMatchObject({ buffered: 1, started: 1 })
    expect((await schedule(project.root, 'describe')).text).toContain('buffer-one, 1 waiting')
    await release()
    const { recent } = await untilSeen(project.root, (report) => endings(report).at(-2) === 'succeeded')
    const [first, second] = recent.toReversed()
    expect(first).toMatchObject({ status: 'succeeded' })
    // Due while the first ran, started when it had ended.
    expect(second?.dueAt).toBe(new Date(Date.parse(first?.dueAt ?? '') + 1000).toISOString())
    expect(Date.parse(second?.startedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(first?.endedAt ?? ''))
  })

  test('buffer-all: each waits for the one before, none is skipped', async () => {
    const { project, release } = await heldProject('buffers-all')
    await schedule(project.root, 'create', '--every', '1s', '--overlap', 'buffer-all', ...RANGE)
    await untilSeen(project.root, ({ buffered }) => buffered >= 2)
    await release()
    const { recent, skipped } = await untilSeen(
      project.root,
      (report) => endings(report).filter((status) => status === 'succeeded').length >= 4,
    )
    expect(skipped).toMatchObject({ overlap: 0 })
    const ended = recent.toReversed().filter(({ status }) => status === 'succeeded')
    for (const [nth, { dueAt, startedAt }] of ended.entries()) {
      const before = ended[nth - 1]
      if (before === undefined) continue
      expect(Date.parse(dueAt ?? '') - Date.parse(before.dueAt ?? '')).toBe(1000)
      expect(Date.parse(startedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(before.endedAt ?? ''))
    }
  })

  test('terminate-other: the one that runs is ended without a word, and the next has the environment all the same', async () => {
    const { project, release } = await heldProject('terminates')
    await schedule(project.root, 'create', '--every', '1s', '--overlap', 'terminate-other', ...RANGE)
    await untilSeen(project.root, ({ started }) => started >= 3)
    await schedule(project.root, 'pause')
    await release()
    const { recent } = await untilIdle(project.root)
    const [first, second, ...later] = recent.toReversed().map(({ status }) => status)
    expect([first, second, later.at(-1)]).toEqual(['terminated', 'terminated', 'succeeded'])
    expect(await project.rows('SELECT count(*)::INT AS n, count(DISTINCT day)::INT AS days FROM s.days')).toEqual([
      { n: 3, days: 3 },
    ])
  })

  test('cancel-other: the one that runs is cancelled, and the next starts when its work is rolled back', async () => {
    const { project, release } = await heldProject('cancels')
    await schedule(project.root, 'create', '--every', '1s', '--overlap', 'cancel-other', ...RANGE)
    await untilSeen(project.root, ({ started }) => started >= 2)
    // What waits for the cancelled one's end is dropped with it.
    await schedule(project.root, 'pause')
    await release()
    const { recent } = await untilIdle(project.root)
    const [first, second] = recent.toReversed()
    expect(first).toMatchObject({ status: 'canceled' })
    expect(Date.parse(second?.startedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(first?.endedAt ?? ''))
    // Nothing is left of the cancelled ones that the next build would trip over.
    await schedule(project.root, 'trigger')
    await untilSeen(project.root, (report) => endings(report)[0] === 'succeeded')
    expect(await project.rows('SELECT count(*)::INT AS n FROM s.days')).toEqual([{ n: 3 }])
  })

  test('allow-all: they queue for the environment, and each day is built once', async () => {
    const { project, release } = await heldProject('queues')
    await schedule(project.root, 'create', '--every', '1s', '--overlap', 'allow-all', ...RANGE)
    await untilSeen(project.root, ({ running }) => running.length >= 3)
    await schedule(project.root, 'pause')
    await release()
    const report = await untilIdle(project.root)
    expect(new Set(endings(report))).toEqual(new Set(['succeeded']))
    expect(report.recent.length).toBeGreaterThanOrEqual(3)
    expect(await project.rows('SELECT count(*)::INT AS n, count(DISTINCT day)::INT AS days FROM s.days')).toEqual([
      { n: 3, days: 3 },
    ])
  })
})

describe('a backfill', () => {
  test('is one build over the range with at most so many steps at once, and records each day once', async () => {
    const project = await scheduledProject('sixty', DAYS)
    await schedule(project.root, 'create', '--cron', '@daily', '--paused', '--select', 's.days')
    const { code, document, said } = await schedule<BuildReport>(
      project.root,
      'backfill',
      '--start',
      '2024-01-01',
      '--end',
      '2024-02-29',
      '--max-parallel',
      '4',
    )
    expect(code).toBe(0)
    expect(document).toMatchObject({
      workflowId: 'millrace/sixty/prod/backfill/2024-01-01..2024-02-29',
      status: 'succeeded',
      promoted: true,
      models: [{ name: 's.days', intervals: [['2024-01-01T00:00:00.000Z', '2024-03-01T00:00:00.000Z']] }],
    })
    expect(said.join('\n')).toContain('/60 steps')
    const history = await server.client.workflow.getHandle(document.workflowId).fetchHistory()
    expect(mostInFlight(history, 'buildModel')).toBe(4)
    expect(await recorded(project)).toEqual({ units: 60, distinct: 60, rows: 60, days: 60 })
  })

  test('of Temporal’s own, whose many starts come at once, has each day built as of its own time and recorded once', async () => {
    const project = await scheduledProject('own', DAYS)
    await schedule(project.root, 'create', '--cron', '@daily', '--paused')
    const { scheduleId } = await onlySchedule()
    await server.client.schedule.getHandle(scheduleId).backfill({
      start: new Date('2024-01-02T00:00:00Z'),
      end: new Date('2024-01-06T00:00:00Z'),
      overlap: 'ALLOW_ALL',
    })
    const report = await until('five builds', async () => {
      const seen = await describeIt(project.root)
      return seen.recent.length >= 5 && seen.running.length === 0 ? seen : null
    })
    expect(report.recent.map(({ status, error }) => error ?? status)).toEqual(
      Array.from({ length: 5 }, () => 'succeeded'),
    )
    expect(report.recent.map(({ workflowId }) => workflowId).sort()).toEqual(
      [2, 3, 4, 5, 6].map((day) => `millrace/own/prod-2024-01-0${day}T00:00:00Z`),
    )
    // Nothing after the latest of the times they were due, whatever time it is now.
    expect(await recorded(project)).toEqual({ units: 5, distinct: 5, rows: 5, days: 5 })
  })

  async function recorded(project: BuiltProject): Promise<Record<string, unknown>> {
    const [row = {}] = await project.rows(
      `SELECT count(*)::INT AS units, count(DISTINCT unit_start)::INT AS distinct,
         (SELECT count(*)::INT FROM s.days) AS rows, (SELECT count(DISTINCT day)::INT FROM s.days) AS days
       FROM millrace.ledger`,
    )
    return row
  }
})

async function onlySchedule(): Promise<{ scheduleId: string }> {
  return until('one schedule', async () => {
    for await (const found of server.client.schedule.list()) return found
    return null
  })
}

test('--auto wakes when any model is due, and each build makes what is due then and nothing else', async () => {
  const CRONS = { four: '0 */4 * * *', twice: '0 0,12 * * *', daily: '@daily', mornings: '30 8-9 * * 1-5' }
  const models = Object.entries(CRONS).map(([name, cron]) => [
    `models/${name}.sql`,
    `MODEL (name s.${name}, kind INCREMENTAL_BY_TIME_RANGE (time_column at), cron '${cron}', start '2024-01-08');
SELECT @start_ts::TIMESTAMP AS at`,
  ])
  const project = await scheduledProject('due', Object.fromEntries(models))
  await schedule(project.root, 'create', '--auto', '--paused')
  const created = await describeIt(project.root)
  expect(created).toMatchObject({ auto: true, timeZone: 'UTC' })
  expect([...created.crons].sort()).toEqual(Object.values(CRONS).sort())

  // Wednesday, January 10, as if it passed now.
  const day = Date.UTC(2024, 0, 10)
  await project.build({ executionTime: '2024-01-10' })
  await server.client.schedule.getHandle(created.id).backfill({
    start: new Date(day + 1000),
    end: new Date(day + 86_400_000),
    overlap: 'BUFFER_ALL',
  })
  const ticks = Object.values(CRONS).flatMap((cron) => ticksOf(cron, day, day + 86_400_000))
  const wakes = [...new Set(ticks)].sort((a, b) => a - b)
  expect(wakes).toHaveLength(8)
  await until('a build at each tick', async () => {
    const { started, running, buffered } = await describeIt(project.root)
    return started === wakes.length && running.length === 0 && buffered === 0 ? true : null
  })
  for (const wake of wakes) {
    const time = new Date(wake).toISOString().replace('.000Z', 'Z')
    const history = await server.client.workflow.getHandle(`millrace/due/prod-${time}`).fetchHistory()
    const built = scheduledActivities(history).flatMap(({ type, activityId }) =>
      type === 'buildModel' ? [activityId] : [],
    )
    const due = Object.entries(CRONS).flatMap(([name, cron]) =>
      createCron(cron, null).previous(wake) === wake ? [`s.${name}`] : [],
    )
    expect({ time, built: built.sort() }).toEqual({ time, built: due.sort() })
  }

  // A model that is due at another time changes when the schedule wakes.
  await writeFiles(project.root, {
    'models/more.sql': "MODEL (name s.more, kind FULL, cron '15 3 * * *');\nSELECT 1 AS x",
  })
  const { document, text } = await schedule<AppliedDocument>(project.root, 'create', '--auto')
  expect(document.schedules).toMatchObject([{ action: 'updated', changes: [{ what: 'when' }] }])
  expect(text).toContain('15 3 * * *')
})

function ticksOf(cron: string, fromMs: number, toMs: number): number[] {
  const found: number[] = []
  for (let ms = createCron(cron, null).next(fromMs); ms <= toMs; ms = createCron(cron, null).next(ms)) found.push(ms)
  return found
}

test('what is asked for arrives, the same again changes nothing, another says what changed', async () => {
  const project = await scheduledProject('same', DAYS)
  const words = [
    'create',
    'nightly',
    '--cron',
    '30 2 * * 1-5',
    '--cron',
    '0 6 L * *',
    '--time-zone',
    'Europe/Berlin',
    '--jitter',
    '5m',
    '--catch-up',
    '2h',
    '--overlap',
    'buffer-all',
    '--pause-on-failure',
    '--note',
    'by night',
    '--on-conflict',
    'join',
    '--max-parallel',
    '3',
    '--var',
    'region=eu',
  ]
  const first = await schedule<AppliedDocument>(project.root, ...words)
  expect(first.document).toEqual({
    dryRun: false,
    schedules: [{ name: 'nightly', id: 'millrace/same/nightly', action: 'created', changes: [] }],
  })
  const report = await describeIt(project.root, 'nightly')
  expect(report).toMatchObject({
    name: 'nightly',
    when: '30 2 * * 1-5, 0 6 L * *',
    timeZone: 'Europe/Berlin',
    jitterMs: 300_000,
    catchUpMs: 7_200_000,
    overlap: 'buffer-all',
    pauseOnFailure: true,
    paused: false,
    note: 'by night',
    workflowId: 'millrace/same/prod/nightly',
    taskQueue: TASK_QUEUE,
    input: { project: 'same', environment: 'prod', onConflict: 'join', maxParallel: 3, vars: { region: 'eu' } },
    recent: [],
  })
  // 02:30 in Berlin, give or take the jitter.
  expect(report.next[0]).toMatch(/T0[01]:3\d:/)

  const again = await schedule<AppliedDocument>(project.root, ...words)
  expect(again.text).toBe('nightly: unchanged')
  expect((await describeIt(project.root, 'nightly')).updatedAt).toBe(report.updatedAt)

  // Whoever paused it meant it: making it anew does not take that back.
  await schedule(project.root, 'pause', 'nightly', '--note', 'holidays')
  const change = [
    'create',
    'nightly',
    '--every',
    '6h',
    '--offset',
    '30m',
    '--on-conflict',
    'join',
    '--select',
    's.days',
  ]
  const dry = await schedule<AppliedDocument>(project.root, ...change, '--dry-run')
  expect(dry.text).toContain('nightly: would be updated')
  const changed = await schedule<AppliedDocument>(project.root, ...change)
  expect(changed.document.schedules[0]?.changes).toEqual(dry.document.schedules[0]?.changes)
  expect(changed.document.schedules[0]?.changes).toEqual([
    { what: 'when', from: '30 2 * * 1-5, 0 6 L * *', to: 'every 6h, offset 30m' },
    { what: 'time zone', from: 'Europe/Berlin', to: 'UTC' },
    { what: 'jitter', from: '5m', to: 'none' },
    { what: 'overlap', from: 'buffer-all', to: 'skip' },
    { what: 'catch-up', from: '2h', to: '1h' },
    { what: 'pause on failure', from: 'yes', to: 'no' },
    { what: 'max parallel', from: '3', to: 'none' },
    { what: 'vars', from: '{"region":"eu"}', to: 'none' },
    { what: 'select', from: 'none', to: 's.days' },
  ])
  expect(await describeIt(project.root, 'nightly')).toMatchObject({
    when: 'every 6h, offset 30m',
    paused: true,
    note: 'holidays',
  })
  const { document: unpaused } = await schedule<{ next: string }>(project.root, 'unpause', 'nightly')
  expect(unpaused.next).toMatch(/T(00|06|12|18):30:00/)

  const missing = await errorOf(schedule(project.root, 'describe', 'nightli'))
  expect(missing).toMatchObject({ code: 'USAGE', hint: "Did you mean 'nightly'?" })
  await schedule(project.root, 'delete', 'nightly')
  expect(await errorOf(schedule(project.root, 'describe', 'nightly'))).toMatchObject({ code: 'USAGE' })
})

test('a file keeps several: --dry-run shows what would change, --prune deletes what it no longer has', async () => {
  const project = await scheduledProject('filed', DAYS)
  const apply = (...words: string[]): Promise<VerbResult<AppliedDocument>> =>
    schedule(project.root, 'create', '--file', `${project.root}/schedules.yaml`, ...words)
  const actions = ({ document }: VerbResult<AppliedDocument>): [string, string][] =>
    document.schedules.map(({ name, action }) => [name, action])

  await writeFiles(project.root, {
    'schedules.yaml':
      'schedules:\n  due: { auto: true }\n  nightly: { cron: "0 2 * * *", paused: true, vars: { n: 1 } }\n',
  })
  const dry = await apply('--dry-run')
  expect(dry.text).toBe('due: would be created\nnightly: would be created')
  expect(await errorOf(schedule(project.root, 'describe', 'due'))).toMatchObject({ code: 'USAGE' })
  expect(actions(await apply())).toEqual([
    ['due', 'created'],
    ['nightly', 'created'],
  ])
  expect(await describeIt(project.root, 'nightly')).toMatchObject({ paused: true, input: { vars: { n: '1' } } })
  // A server's list lags behind a moment.
  await until('both listed', async () => {
    const { document } = await schedule<ScheduleReport[]>(project.root, 'list')
    return document.length === 2 ? true : null
  })

  await writeFiles(project.root, { 'schedules.yaml': 'schedules:\n  nightly: { cron: "0 3 * * *", paused: true }\n' })
  const changed = await apply('--dry-run', '--prune')
  expect(changed.text.split('\n').map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
    'nightly: would be updated',
    ' when 0 2 * * * → 0 3 * * *',
    ' vars {"n":"1"} → none',
    'due: would be deleted',
  ])
  expect(actions(await apply())).toEqual([
    ['nightly', 'updated'],
    ['due', 'not in the file'],
  ])
  expect(actions(await apply('--prune'))).toEqual([
    ['nightly', 'unchanged'],
    ['due', 'deleted'],
  ])
  await until('one listed', async () => {
    const { document } = await schedule<ScheduleReport[]>(project.root, 'list')
    return document.length === 1 ? true : null
  })
})

test('a failed build pauses a schedule that asks for it, and is shown with its error', async () => {
  const project = await scheduledProject('fails', {
    'models/bad.sql': "MODEL (name s.bad, kind FULL);\nSELECT error('out of stock') AS x",
  })
  await schedule(project.root, 'create', '--cron', '@yearly', '--pause-on-failure')
  const { document, text } = await schedule<{ workflowId: string }>(project.root, 'trigger')
  expect(document.workflowId).toMatch(/^millrace\/fails\/prod-\d{4}-/)
  expect(text).toContain(`watch`)
  const report = await until('the schedule to pause', async () => {
    const seen = await describeIt(project.root)
    return seen.paused ? seen : null
  })
  expect(report.recent).toMatchObject([
    { workflowId: document.workflowId, status: 'failed', error: expect.stringContaining('out of stock') as unknown },
  ])
  expect((await schedule(project.root, 'list')).text).toMatch(/failed +– +paused/)
})

test('the Temporal CLI alone makes a schedule, triggers it and backfills it; `schedule list` shows it too', async () => {
  const project = await scheduledProject('byhand', DAYS)
  const { path } = await resolveTemporalCli({ onProgress: () => {} })
  const temporal = (...words: string[]) => promisify(execFile)(path, [...words, '--address', server.server.address])
  await temporal(
    'schedule',
    'create',
    '--schedule-id',
    'by-hand',
    '--type',
    'buildProject',
    '--task-queue',
    TASK_QUEUE,
    '--workflow-id',
    'hand',
    '--cron',
    '0 0 * * *',
    '--paused',
    '--overlap-policy',
    'BufferAll',
    '--input',
    '{"project":"byhand","onConflict":"queue","end":"2024-01-03"}',
  )
  const times = ['--start-time', '2024-01-02T23:59:00Z', '--end-time', '2024-01-04T00:00:00Z']
  await temporal('schedule', 'backfill', '--schedule-id', 'by-hand', ...times, '--overlap-policy', 'BufferAll')
  const report = await until('two builds', async () => {
    const seen = await describeIt(project.root, 'by-hand')
    return seen.recent.length === 2 && seen.running.length === 0 ? seen : null
  })
  expect(report.recent.map(({ workflowId, status }) => [workflowId, status])).toEqual([
    ['hand-2024-01-04T00:00:00Z', 'succeeded'],
    ['hand-2024-01-03T00:00:00Z', 'succeeded'],
  ])
  expect(await project.rows('SELECT day::VARCHAR AS day FROM s.days ORDER BY ALL')).toEqual([
    { day: '2024-01-01' },
    { day: '2024-01-02' },
    { day: '2024-01-03' },
  ])
  await temporal('schedule', 'trigger', '--schedule-id', 'by-hand')
  await until('the triggered build', async () => {
    const { recent } = await describeIt(project.root, 'by-hand')
    return recent.length === 3 && recent[0]?.status === 'succeeded' ? true : null
  })
  const { document } = await schedule<ScheduleReport[]>(project.root, 'list')
  expect(document).toMatchObject([{ name: 'by-hand', when: '0 0 * * *', overlap: 'buffer-all', paused: true }])
})
