/** The metrics of the connections, as Prometheus reads them from a worker. */
import { basename, join } from 'node:path'
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { extensionDirectory } from '../helpers/extensions.ts'
import { freePort } from '../helpers/free-port.ts'
import { createProject } from '../helpers/project.ts'
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
  for (const line of lines) expect(line).toMatch(labels)
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
