/** Lakes that read each other, and are read, while steps write to them: with DuckDB 1.5 what is not kept apart ends the process. */
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { builtModels, openProject } from '../helpers/built-project.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { createProject, writeFiles } from '../helpers/project.ts'
import { watchStatements } from '../helpers/watch-statements.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

let server: TestServer
let extensions: string
beforeAll(async () => {
  extensions = await extensionDirectory('ducklake', 'sqlite_scanner')
  server = await startTestServer()
}, 120_000)
afterAll(() => server.close())

const NOW = '2024-01-04'
const CHAINS = 10
const ROWS = 3000

/** first (main lake) → view in side → table in side, second lake → last (main lake): every database reads every other one. */
function chain(nth: number): Record<string, string> {
  const next = (nth + 1) % CHAINS
  return {
    [`models/first${nth}.sql`]: `MODEL (name a.first${nth}, kind FULL); SELECT range AS x FROM range(${ROWS})`,
    [`models/view${nth}.sql`]: `MODEL (name side.a.view${nth}, kind VIEW); SELECT x FROM a.first${nth} UNION ALL SELECT x FROM a.first${next}`,
    [`models/table${nth}.sql`]: `MODEL (name side.a.table${nth}, kind FULL); SELECT x FROM side.a.view${nth}`,
    [`models/second${nth}.sql`]: `MODEL (name second.a.second${nth}, kind FULL); SELECT x FROM side.a.view${next} UNION ALL SELECT x FROM side.a.table${nth}`,
    [`models/last${nth}.sql`]: `MODEL (name a.last${nth}, kind FULL); SELECT count(*)::INTEGER AS n FROM second.a.second${nth}`,
  }
}

it('a build over two lakes and a file, where all read each other, ends with every table right', async () => {
  const connection = {
    type: 'ducklake',
    catalog: 'lake.ducklake',
    data_path: 'data',
    extension_directory: extensions,
    catalogs: { side: 'side.duckdb', second: { path: 'ducklake:sqlite:second.sqlite', data_path: 'second-data' } },
  }
  const root = await createProject({
    ...Object.assign({}, ...Array.from({ length: CHAINS }, (_, nth) => chain(nth))),
    'config.yaml': `gateways: { all: { connection: ${JSON.stringify(connection)} } }
model_defaults: { dialect: duckdb, start: 2024-01-01, cron: '@daily' }`,
  })
  const project = await openProject(server, root, { connection })
  const overlaps = watchOverlaps()
  const first = await project.build({ executionTime: NOW })
  expect(first).toMatchObject({ status: 'succeeded', promoted: true, counts: { success: 5 * CHAINS, error: 0 } })
  expect(overlaps).toEqual({ writers: 2 * CHAINS, readers: CHAINS, together: 0 })
  const all = Array.from({ length: CHAINS }, (_, nth) => `SELECT n FROM a.last${nth}`).join(' UNION ALL ')
  const rows = `SELECT sum(n)::INTEGER AS n FROM (${all})`
  expect(await project.rows(rows)).toEqual([{ n: CHAINS * 4 * ROWS }])

  const changed = chain(0)['models/first0.sql'] ?? ''
  await writeFiles(root, { 'models/first0.sql': changed.replace(`range(${ROWS})`, 'range(1)') })
  const second = await project.build({ executionTime: NOW })
  expect(second).toMatchObject({ status: 'succeeded', promoted: true })
  expect(builtModels(second)).toContain('a.last0')
  expect(await project.rows(rows)).toEqual([{ n: (CHAINS - 1) * 4 * ROWS + 4 }])
  expect(builtModels(await project.build({ executionTime: NOW }))).toEqual([])
})

/** Counts statements that write to the main lake, those that read it in a transaction of the file, and how many of them met. */
function watchOverlaps(): { writers: number; readers: number; together: number } {
  const counts = { writers: 0, readers: 0, together: 0 }
  const running = { writers: 0, readers: 0 }
  const whoIs = (sql: string): keyof typeof running | null => {
    if (/CREATE OR REPLACE TABLE "millrace__a"."a__(first|last)/.test(sql)) return 'writers'
    return /CREATE OR REPLACE TABLE "millrace__a"."a__table/.test(sql) ? 'readers' : null
  }
  const ended = watchStatements({
    before: async ({ sql }) => {
      const who = whoIs(sql)
      if (who === null) return
      counts[who] += 1
      running[who] += 1
      if (running.writers > 0 && running.readers > 0) counts.together += 1
      // Long enough for others to meet it, if they may.
      await delay(30)
    },
    succeeded: ({ sql }) => {
      const who = whoIs(sql)
      if (who !== null) running[who] -= 1
    },
  })
  onTestFinished(ended)
  return counts
}
