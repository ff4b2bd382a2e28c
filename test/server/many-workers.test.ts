/** Several worker processes build one project at once, into databases that let them. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { readReport, remotePages } from '../../src/cli/read-report.ts'
import { parseConnection } from '../../src/connections/config.ts'
import { createConnectionRegistry } from '../../src/connections/registry.ts'
import type { BuildReport, BuildSummary } from '../../src/payloads.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { FULL_SIZE } from '../helpers/full-size.ts'
import { startPostgres, type PostgresServer } from '../helpers/postgres.ts'
import { createProject } from '../helpers/project.ts'
import { startQuackServer } from '../helpers/quack-server.ts'
import { startWorkerProcess, type WorkerProcess } from '../helpers/worker-process.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

const MODELS = FULL_SIZE ? 200 : 100
const WIDTH = 20
const ROWS = 100
const WORKERS = 4
const TOKEN = 'let me in'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

describe('one DuckLake in PostgreSQL', () => {
  let postgres: PostgresServer
  let extensions: string
  beforeAll(async () => {
    extensions = await extensionDirectory('ducklake', 'postgres_scanner')
    postgres = await startPostgres()
  }, 240_000)
  afterAll(() => postgres?.stop())

  async function lake(name: string): Promise<Record<string, unknown>> {
    await postgres.createDatabase(name)
    return {
      type: 'ducklake',
      catalog: postgres.address(name),
      password: { env: 'SECRET' },
      data_path: 'data',
      extension_directory: extensions,
    }
  }

  test('is built by four workers, of which each does its share; one that is killed leaves no trace', async () => {
    const build = await startManyWorkers('lake', await lake('lake'), postgres.password)
    await killOneInTheMiddle(build)
    await build.succeeds()
    await build.expectTables()
  })
})

describe('one Quack server', () => {
  test('is built by four workers, of which each does its share; neither one that is killed nor the server’s own end leaves a trace', async () => {
    const folder = await createProject({})
    const quack = await startQuackServer({ file: join(folder, 'served.duckdb'), token: TOKEN })
    const build = await startManyWorkers('quack', quackConnection(quack), TOKEN)
    await killOneInTheMiddle(build)
    await started(build.workers, MODELS * 0.7)
    await quack.restart()
    await build.succeeds()
    await build.expectTables()
  })
})

function quackConnection({ uri, extensions }: { uri: string; extensions: string }): Record<string, unknown> {
  return { type: 'quack', uri, token: { env: 'SECRET' }, disable_ssl: true, extension_directory: extensions }
}

interface ManyWorkers {
  workers: WorkerProcess[]
  /** Resolves when the build has; rejects with its error. */
  succeeds(): Promise<void>
  /** Every table once, with all of its rows, in its place; every step recorded once. */
  expectTables(): Promise<void>
}

async function startManyWorkers(
  taskQueue: string,
  connection: Record<string, unknown>,
  secret: string,
): Promise<ManyWorkers> {
  const root = await createProject({
    ...models(),
    '.env': `SECRET="${secret}"\n`,
    'config.yaml': `gateways: { shared: { connection: ${JSON.stringify(connection)} } }
model_defaults: { dialect: duckdb, start: 2024-01-01, cron: '@daily' }`,
  })
  const workers = Array.from({ length: WORKERS }, () =>
    startWorkerProcess({ address: server.server.address, taskQueue, project: root, slots: 4 }),
  )
  await Promise.all(workers.map(({ ready }) => ready))
  const handle = await server.client.workflow.start<(input: object) => Promise<BuildSummary>>('buildProject', {
    taskQueue,
    workflowId: taskQueue,
    // One whose worker was killed goes to another soon.
    workflowTaskTimeout: '2s',
    args: [{ executionTime: '2024-02-01', maxParallel: WORKERS * 4 }],
  })
  const result = handle.result()
  // A test may fail before it looks at it.
  result.catch(() => undefined)

  return {
    workers,
    succeeds: async () => {
      expect(await result).toMatchObject({ status: 'succeeded', promoted: true })
      const { models: built = [] } = (await report(taskQueue)) ?? {}
      expect(built).toHaveLength(MODELS)
    },
    expectTables: async () => {
      const registry = createConnectionRegistry()
      const owner = registry.attach('test')
      onTestFinished(() => owner.detach())
      const config = parseConnection(connection, { root, env: { SECRET: secret } })
      await using lease = await registry.lease(config, { holder: 'test' })
      const each = names().map(
        (name, nth) =>
          `SELECT ${nth} AS nth, count(*)::INTEGER AS rows, count(DISTINCT n)::INTEGER AS different, min(n)::INTEGER AS first FROM s.${name}`,
      )
      expect(await lease.rows(`${each.join(' UNION ALL ')} ORDER BY nth`)).toEqual(
        names().map((_, nth) => ({ nth, rows: ROWS, different: ROWS, first: Math.floor(nth / WIDTH) })),
      )
      const [ledger] = await lease.rows(
        'SELECT count(*)::INTEGER AS rows, count(DISTINCT (version, unit_start))::INTEGER AS units FROM millrace.ledger',
      )
      expect(ledger).toEqual({ rows: MODELS, units: MODELS })
    },
  }
}

async function report(workflowId: string): Promise<BuildReport | null> {
  const { runId } = await server.client.workflow.getHandle(workflowId).describe()
  const pages = remotePages(server.client, workflowId, 60_000)
  return readReport(pages, { environment: 'prod', workflowId, runId, lockTimeoutSeconds: 10 })
}

async function killOneInTheMiddle({ workers }: ManyWorkers): Promise<void> {
  await started(workers, MODELS / 2)
  for (const worker of workers) expect(worker.started).toBeGreaterThan(MODELS / 2 / WORKERS / 3)
  const busy = workers.find(({ running }) => running.size > 0)
  if (busy === undefined) throw new Error('no worker had anything to do')
  await busy.kill()
}

/** Resolves when this many activities have started. */
async function started(workers: readonly WorkerProcess[], count: number): Promise<void> {
  const soFar = (): number => workers.reduce((sum, worker) => sum + worker.started, 0)
  await new Promise<void>((resolve) => {
    for (const worker of workers) {
      worker.onStarted(() => {
        if (soFar() >= count) resolve()
      })
    }
  })
}

function names(): string[] {
  return Array.from({ length: MODELS }, (_, nth) => `m${nth}`)
}

/** Layers; each adds one to what the layer before has. */
function models(): Record<string, string> {
  return Object.fromEntries(
    names().map((name, nth) => {
      const query = nth < WIDTH ? `SELECT range AS n FROM range(${ROWS})` : `SELECT n + 1 AS n FROM s.m${nth - WIDTH}`
      return [`models/${name}.sql`, `MODEL (name s.${name}, kind FULL);\n${query}`]
    }),
  )
}
