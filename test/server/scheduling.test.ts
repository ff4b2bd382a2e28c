import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readReport, remotePages } from '../../src/cli/read-report.ts'
import type { BuildInput, BuildReport, ModelReport } from '../../src/payloads.ts'
import { mostInFlight, type History } from '../helpers/history.ts'
import { createProject } from '../helpers/project.ts'
import { startBuild, startTestServer, TASK_QUEUE, type TestServer } from '../helpers/worker.ts'

/** Tens of milliseconds on one core. */
const SLOW_ROWS = 400_000

describe('the order of steps', () => {
  let server: TestServer

  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server.close())

  test('a long chain beside a wide, slow layer goes on before the layer ends', async () => {
    const layer = Array.from({ length: 60 }, (_, index) => `slow.wide_${index}`)
    const chain = Array.from({ length: 5 }, (_, index) => `fast.link_${index}`)
    const { report } = await build({
      ...Object.fromEntries(layer.map((name) => model(name, slowQuery(name)))),
      ...Object.fromEntries(
        chain.map((name, index) => model(name, index === 0 ? 'SELECT 1 AS a' : `SELECT a FROM ${chain[index - 1]}`)),
      ),
    })
    expect(report.status).toBe('succeeded')
    const links = chain.map((name) => timesOf(report, name))
    links
      .slice(1)
      .forEach((link, index) => expect(link.started).toBeGreaterThanOrEqual(links[index]?.ended ?? Infinity))
    // Of the last link no other model waits: it has no longer path than the layer.
    const ends = layer.map((name) => timesOf(report, name).ended).sort((a, b) => a - b)
    expect(links.at(-2)?.ended).toBeLessThan(ends.at(-1) ?? 0)
    // Each link waits for a lease behind at most 16 steps, twice the leases.
    expect(ends.filter((end) => end < (links[2]?.started ?? Infinity)).length).toBeLessThan(40)
  })

  test('maxParallel bounds the steps in flight, and is used up', async () => {
    const { history, report } = await build(independent(12), { maxParallel: 3 })
    expect(report.status).toBe('succeeded')
    expect(mostInFlight(history, 'buildModel')).toBe(3)
  })

  test('concurrent_tasks of the connection bounds the transactions at once, whatever the build asks for', async () => {
    const files = { ...independent(10), ...config({ concurrentTasks: 2 }) }
    const { history, report } = await build(files, { maxParallel: 10 })
    expect(report.status).toBe('succeeded')
    // Twice as many steps are in flight, so that no lease is idle between two of them.
    expect(mostInFlight(history, 'buildModel')).toBe(4)
    expect(mostAtOnce(report.models)).toBe(2)
  })

  test('after a failure the rest is built, and with failFast nothing more is started', async () => {
    // One at a time, the longest path first: `broken` runs before `apart`.
    const files = Object.fromEntries([
      model('a.broken', 'SELECT no_such_column FROM range(1)'),
      model('a.child', 'SELECT * FROM a.broken'),
      model('a.grandchild', 'SELECT * FROM a.child'),
      model('a.apart', 'SELECT 1 AS a'),
      model('a.apart_too', 'SELECT a FROM a.apart'),
    ])
    const goesOn = await build(files, { maxParallel: 1 })
    expect(statuses(goesOn.report)).toEqual({
      'a.broken': 'error',
      'a.child': "skipped because 'a.broken' failed",
      'a.grandchild': "skipped because 'a.broken' failed",
      'a.apart': 'success',
      'a.apart_too': 'success',
    })
    const stops = await build(files, { maxParallel: 1, failFast: true })
    expect(statuses(stops.report)).toEqual({
      'a.broken': 'error',
      'a.child': "skipped because 'a.broken' failed",
      'a.grandchild': "skipped because 'a.broken' failed",
      'a.apart': "skipped because 'a.broken' failed",
      'a.apart_too': "skipped because 'a.broken' failed",
    })
    expect(stops.report).toMatchObject({ status: 'failed', promoted: false })
  })

  interface Built {
    report: BuildReport
    history: History
  }

  async function build(files: Record<string, string>, input: BuildInput = {}): Promise<Built> {
    const root = await createProject(files)
    const worker = await server.startWorker([root])
    try {
      const handle = await startBuild(server, input)
      await handle.result().catch(() => null)
      const report = await readReport(remotePages(server.client, TASK_QUEUE, 60_000), {
        environment: 'prod',
        workflowId: handle.workflowId,
        runId: null,
        lockTimeoutSeconds: 10,
      })
      if (report === null) throw new Error(`no report: ${JSON.stringify(await handle.describe())}`)
      return { report, history: await handle.fetchHistory() }
    } finally {
      await worker.stop()
    }
  }
})

function model(name: string, query: string): [string, string] {
  return [`models/${name}.sql`, `MODEL (name ${name}, kind FULL);\n${query}\n`]
}

/** Differs by model, so that no two share their rows. */
function slowQuery(name: string): string {
  return `SELECT count(*) AS n FROM range(${SLOW_ROWS}) WHERE hash(range || '${name}') % 2 = 0`
}

function independent(count: number): Record<string, string> {
  const names = Array.from({ length: count }, (_, index) => `s.model_${index}`)
  return Object.fromEntries(
    names.map((name) => model(name, `SELECT count(*) AS n FROM range(300000) WHERE hash(range || '${name}') % 2 = 0`)),
  )
}

function config({ concurrentTasks }: { concurrentTasks: number }): Record<string, string> {
  return {
    'config.yaml': `gateways:\n  local:\n    connection: { type: duckdb, database: w.duckdb, concurrent_tasks: ${concurrentTasks} }\nmodel_defaults: { dialect: duckdb, start: 2024-01-01 }\n`,
  }
}

function timesOf(report: BuildReport, name: string): { started: number; ended: number } {
  const found = report.models.find((model) => model.name === name)
  if (found?.startedAt == null || found.endedAt === null) throw new Error(`'${name}' was not built`)
  return { started: Date.parse(found.startedAt), ended: Date.parse(found.endedAt) }
}

/** The largest number of models that were being written at one time. */
function mostAtOnce(models: readonly ModelReport[]): number {
  const times = models.map(
    ({ startedAt, endedAt }) => [Date.parse(startedAt ?? ''), Date.parse(endedAt ?? '')] as const,
  )
  return Math.max(...times.map(([at]) => times.filter(([started, ended]) => started <= at && at < ended).length))
}

function statuses(report: BuildReport): Record<string, string> {
  return Object.fromEntries(
    report.models.map(({ name, status, reason }) => [name, status === 'skipped' ? (reason ?? '') : status]),
  )
}
