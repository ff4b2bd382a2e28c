/**
 * Builds one project with SQLMesh and with Millrace, day by day, while its sources change at random, and compares every table after each
 * day. Ends with 1 and the rows that differ. What is known to differ, and why, is in comparison/differences.ts.
 * tsx scripts/compare-with-sqlmesh.ts [--seed N] [--seeds N] [--days N]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { createVirtualEnvironment } from '../bench/virtual-environment.ts'
import { repositoryFolder, workFolder } from '../bench/work-folder.ts'
import { parseConnection } from '../src/connections/config.ts'
import { connectionRegistry } from '../src/connections/registry.ts'
import type { BuildSummary } from '../src/payloads.ts'
import { startTestServer, type TestServer } from '../test/helpers/worker.ts'
import { differences, type Table } from './comparison/differences.ts'
import { randomDays, type Day } from './comparison/random-days.ts'

const PROJECT = join(repositoryFolder, 'test/fixtures/sqlmesh-comparison')
/** All but the embedded one, which has no table. */
const TABLES = ['labels', 'whole', 'reader', 'seen', 'days', 'late_days', 'keyed', 'keyed_twice', 'parts', 'appended']
  .concat(['by_time', 'by_time_all', 'by_column', 'by_column_all', 'by_column_stamped'])
  .map((name) => `k.${name}`)

type Tables = Record<string, Table>
type Build = (day: Day, first: boolean) => Promise<Tables>

const { values: options } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '3' },
    days: { type: 'string', default: '10' },
  },
})
const [firstSeed, seeds, days] = [Number(options.seed), Number(options.seeds), Number(options.days)]

const sqlmesh = await startSqlmesh()
const server = await startTestServer()
let failed = 0
try {
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    const problem = await compareSeed(seed)
    console.log(problem === null ? `seed ${seed}: the same on each of ${days} days` : `seed ${seed}: ${problem}`)
    if (problem !== null) failed += 1
  }
} finally {
  await server.close()
  sqlmesh.end()
}
process.exitCode = failed === 0 ? 0 : 1

/** @returns the first day's difference; null when there is none. */
async function compareSeed(seed: number): Promise<string | null> {
  const [ours, theirs] = [await copyProject(seed, 'millrace'), await copyProject(seed, 'sqlmesh')]
  const worker = await server.startWorker([ours], { taskQueue: `seed-${seed}` })
  try {
    const buildOurs = millraceBuild(server, ours, `seed-${seed}`)
    for (const [nth, day] of randomDays(seed, days).entries()) {
      const [left, right] = [await buildOurs(day, nth === 0), await sqlmesh.build(theirs, day, nth === 0)]
      const found = TABLES.flatMap((name) => {
        const lines = differences(name, left[name] ?? NONE, right[name] ?? NONE)
        return lines.length === 0 ? [] : [name, ...lines.map((line) => `  ${line}`)]
      })
      if (found.length > 0)
        return `day ${nth + 1} (${day.executionTime}) differs\n${found.join('\n')}\nsource:\n${day.sql.join(';\n')}`
    }
    return null
  } finally {
    await worker.stop()
  }
}

const NONE: Table = { columns: [], rows: [] }

async function copyProject(seed: number, tool: string): Promise<string> {
  const folder = join(workFolder, 'comparison', `${seed}-${tool}`)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await cp(PROJECT, folder, { recursive: true })
  return folder
}

function millraceBuild({ client }: TestServer, root: string, taskQueue: string): Build {
  const config = parseConnection({ type: 'duckdb', database: join(root, 'compared.db') }, { root, env: {} })
  return async ({ executionTime, sql }) => {
    {
      await using lease = await connectionRegistry().lease(config, { holder: 'comparison' })
      for (const statement of sql) await lease.run(statement)
    }
    const summary = await client.workflow.execute<(input: object) => Promise<BuildSummary>>('buildProject', {
      taskQueue,
      workflowId: `${taskQueue} ${executionTime}`,
      args: [{ executionTime }],
    })
    if (summary.status !== 'succeeded') throw new Error(`Millrace: ${JSON.stringify(summary.problems)}`)
    await using lease = await connectionRegistry().lease(config, { holder: 'comparison' })
    const tables: Tables = {}
    for (const name of TABLES) {
      const columns = await lease.rows<{ column_name: string; column_type: string }>(`DESCRIBE ${name}`)
      const rows = await lease.rows<Record<string, string | null>>(`SELECT COLUMNS(*)::VARCHAR FROM ${name}`)
      tables[name] = {
        columns: columns.map(({ column_name, column_type }) => `${column_name} ${column_type}`),
        rows: rows.map((row) => Object.values(row)),
      }
    }
    return tables
  }
}

interface Sqlmesh {
  build(folder: string, day: Day, first: boolean): Promise<Tables>
  end(): void
}

async function startSqlmesh(): Promise<Sqlmesh> {
  const environment = await createVirtualEnvironment('sqlmesh-comparison', ['sqlmesh==0.236.4', 'duckdb==1.5.5'])
  const script = join(import.meta.dirname, 'comparison/sqlmesh-days.py')
  const child = spawn(environment.program('python'), [script], { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: child.stdout })
  const ended = once(child, 'exit').then(() => null)
  return {
    async build(folder, { executionTime, sql }, first) {
      child.stdin.write(`${JSON.stringify({ folder, first, execution_time: executionTime, sql, tables: TABLES })}\n`)
      const line: unknown = await Promise.race([once(answers, 'line').then(([text]: unknown[]) => text), ended])
      if (typeof line !== 'string') throw new Error('SQLMesh has ended')
      const answer = JSON.parse(line) as Tables & { error?: string }
      if (answer.error !== undefined) throw new Error(`SQLMesh: ${answer.error}`)
      return answer
    },
    end: () => child.stdin.end(),
  }
}
