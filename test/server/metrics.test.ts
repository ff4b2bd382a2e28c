/** Metrics, as Prometheus reads them from a worker, and its log. */
import { basename, join } from 'node:path'
import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWorker } from '../helpers/cli.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { freePort } from '../helpers/free-port.ts'
import { createProject } from '../helpers/project.ts'
import { createSlowProject, until, untilWriting } from '../helpers/slow-build.ts'
import { sourcePath } from '../helpers/tsx-script.ts'
import { startWorkerProcess } from '../helpers/worker-process.ts'
import { startBuild, startTestServer, TASK_QUEUE, type TestServer } from '../helpers/worker.ts'

let server: TestServer
let extensions = ''
beforeAll(async () => {
  server = await startTestServer()
  extensions = await extensionDirectory('httpfs')
}, 120_000)
afterAll(() => server.close())

test('a worker reports leases, waits, opens and credentials by type and database, and no secret', async () => {
  const root = await createProject({
    token: 'a-secret-token',
    'config.yaml': `gateways:
  local:
    connection:
      type: duckdb
      database: warehouse.duckdb
      extensions: [httpfs]
      extension_directory: ${extensions}
      secrets: { api: { type: http, bearer_token: { file: token } } }
`,
    'models/a.sql': 'MODEL (name s.a, kind FULL);\nSELECT 1 AS x',
    'models/b.sql': 'MODEL (name s.b, kind FULL);\nSELECT x FROM s.a',
  })
  const metrics = `127.0.0.1:${await freePort()}`
  const { address } = server.server
  const worker = startWorkerProcess({ address, taskQueue: TASK_QUEUE, project: root, slots: 10, metrics })
  await worker.ready
  expect(await (await startBuild(server, {})).result()).toMatchObject({ project: basename(root), status: 'succeeded' })

  const text = await scrapeUntil(metrics, /^millrace_connection_leases/m)
  const labels = /database="warehouse\.duckdb",database_type="duckdb"/
  const lines = text.split('\n').filter((line) => line.startsWith('millrace_'))
  const ofConnections = lines.filter((line) => /^millrace_(connection|credential)_/.test(line))
  expect(ofConnections.length).toBeGreaterThan(10)
  for (const line of ofConnections) expect(line).toMatch(labels)
  expect(valueOf(lines, 'millrace_connection_open_sum')).toBeGreaterThan(1)
  // Plan, two steps and finish at least.
  expect(valueOf(lines, 'millrace_connection_lease_wait_count')).toBeGreaterThanOrEqual(4)
  expect(valueOf(lines, 'millrace_connection_open_count')).toBe(1)
  expect(valueOf(lines, 'millrace_connection_leases')).toBe(0)
  expect(valueOf(lines, 'millrace_connection_waiting')).toBe(0)
  expect(valueOf(lines, 'millrace_credential_fetches')).toBe(1)
  expect(text).not.toContain('a-secret-token')

  await writeFile(join(root, 'token'), 'another-secret-token')
  expect(await (await startBuild(server, { fullRefresh: true })).result()).toMatchObject({ status: 'succeeded' })
  expect(await scrapeUntil(metrics, /millrace_credential_fetches\w*\{.*\} [2-9]$/m)).not.toContain(
    'another-secret-token',
  )
})

/** One build succeeds with a warning, one fails, three are refused, one waits for a slow one. */
test('one endpoint has what the dashboard shows and the docs list, Temporal’s own included, and no name of a model', async () => {
  const { root, slow } = await createProjects()
  const metrics = `127.0.0.1:${await freePort()}`
  const { address } = server.server
  const worker = startWorker([
    root,
    slow,
    '--address',
    address,
    '--task-queue',
    'measured',
    '--metrics',
    metrics,
    '--log-format',
    'json',
  ])
  await worker.seen('Worker on task queue')
  const project = basename(root)
  await build({ project, select: 's.warned' })
  expect(await build({ project })).toBe('BUILD_FAILED')
  expect(await build({ project, select: 'no_such_model' })).not.toBe('succeeded')
  void build({ project, gateway: 'refused' })
  void build({ project, gateway: 'unreachable' })
  void build({ project: basename(slow) }, 'slow')
  await untilWriting(server.client, 'slow')
  void build({ project: basename(slow), onConflict: 'queue' })

  const documented = await documentedMetrics()
  const shown = await shownMetrics()
  let scraped = new Set<string>()
  let text = ''
  const missing = (): string[] => [...documented, ...shown].filter((name) => !scraped.has(name))
  await until('all metrics', async () => {
    text = await (await fetch(`http://${metrics}/metrics`)).text()
    scraped = namesIn(text)
    return missing().length === 0 ? true : null
  }).catch(() => null)
  expect(missing()).toEqual([])
  expect([...scraped].filter((name) => name.startsWith('millrace_') && !documented.has(name))).toEqual([])
  expect(shown.size).toBeGreaterThan(25)
  expect(text).not.toMatch(/warned|failing|build-\d|a-secret-token/)
  const lines = text.split('\n')
  const labels = `environment="prod",namespace="default",project="${project}"`
  for (const expected of [
    `millrace_builds_ended{activityType="finishBuild",${labels},status="succeeded",taskQueue="measured"} 1`,
    `millrace_builds_ended{activityType="finishBuild",${labels},status="failed",taskQueue="measured"} 1`,
    `millrace_models{activityType="finishBuild",${labels},status="warn",taskQueue="measured"} 1`,
    `millrace_audits{activityType="buildModel",${labels},status="warn",taskQueue="measured"} 1`,
    `millrace_steps{activityType="buildModel",environment="prod",kind="FULL",namespace="default",project="${project}",status="error",taskQueue="measured"} 1`,
  ])
    expect(lines).toContain(expected)

  worker.process.kill('SIGKILL')
  const log = (await worker.ended).stderr
  expect(log).not.toContain('a-secret-token')
  const entries = log
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  for (const entry of entries) expect(entry).toMatchObject({ time: expect.any(String), level: expect.any(String) })
  const ofSteps = entries.filter(({ activityType, project: name }) => activityType === 'buildModel' && name === project)
  expect(ofSteps.map(({ level, message, model }) => [level, message, model].join(' ')).sort()).toEqual([
    'INFO Step built s.warned',
    'WARN Activity failed s.failing',
  ])
  for (const entry of ofSteps)
    expect(entry).toMatchObject({ project, environment: 'prod', attempt: 1, build: entry['workflowId'] })
})

async function createProjects(): Promise<{ root: string; slow: string }> {
  const connection = (name: string, token: string): string => `  ${name}:
    connection:
      type: duckdb
      database: ${name === 'unreachable' ? 'no/such/folder/x' : name}.duckdb
      extensions: [httpfs]
      extension_directory: ${extensions}
      secrets: { api: { type: http, bearer_token: { file: ${token} } } }
`
  const root = await createProject({
    token: 'a-secret-token',
    'config.yaml': `gateways:
${connection('warehouse', 'token')}${connection('refused', 'no-such-file')}${connection('unreachable', 'token')}default_gateway: warehouse
`,
    'models/warned.sql': `MODEL (name s.warned, kind FULL, audits (not_null_non_blocking(columns := (x))));
SELECT NULL::INTEGER AS x`,
    'models/failing.sql': "MODEL (name s.failing, kind FULL);\nSELECT error('no') AS x",
  })
  return { root, slow: await createSlowProject() }
}

/** @returns `succeeded`, or what it failed with. */
async function build(input: object, workflowId = `build-${Math.random()}`): Promise<unknown> {
  const options = { taskQueue: 'measured', workflowId, args: [input] }
  return server.client.workflow
    .execute('buildProject', options)
    .then(() => 'succeeded')
    .catch(
      (error: { cause?: { type?: string; cause?: { type?: string } } }) =>
        error.cause?.cause?.type ?? error.cause?.type,
    )
}

/** Of the tables in the docs: names in the first column. */
async function documentedMetrics(): Promise<Set<string>> {
  const text = await readFile(sourcePath('docs/metrics.md'), 'utf8')
  return new Set([...text.matchAll(/^\| `((?:millrace|temporal)_\w+)`/gm)].map(([, name = '']) => name))
}

/** Of the dashboard's queries. */
async function shownMetrics(): Promise<Set<string>> {
  const dashboard = JSON.parse(await readFile(sourcePath('docs/grafana-dashboard.json'), 'utf8')) as object
  const queries = [...JSON.stringify(dashboard).matchAll(/"expr":"((?:[^"\\]|\\.)*)"/g)].map(([, query = '']) => query)
  const names = queries.flatMap((query) => query.match(/\b(?:millrace|temporal)_\w+/g) ?? [])
  return new Set(names.map(baseName))
}

function namesIn(text: string): Set<string> {
  return new Set([...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name = '']) => name))
}

/** A histogram's series have the histogram's name with an ending. */
function baseName(name: string): string {
  return name.replace(/_(bucket|sum|count)$/, '')
}

function valueOf(lines: readonly string[], name: string): number {
  const line = lines.find((one) => one.startsWith(`${name}{`) || one.startsWith(`${name}_total{`))
  return Number(line?.split(' ').at(-1))
}

/** Gauges are set every five seconds. */
async function scrapeUntil(address: string, pattern: RegExp): Promise<string> {
  const deadline = Date.now() + 30_000
  for (;;) {
    const text = await (await fetch(`http://${address}/metrics`)).text()
    if (pattern.test(text)) return text
    if (Date.now() > deadline) throw new Error(`no ${pattern} in\n${text.replaceAll(/^(?!millrace).*\n/gm, '')}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
