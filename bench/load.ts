/**
 * How long it takes to load and plan a project of many models, cold and warm, beside SQLMesh.
 * npm run bench:load -- [--sizes 500,2000] [--runs 3]
 */
import { mkdir, rm } from 'node:fs/promises'
import { loadavg } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { generateWorkload } from './generate.ts'
import { summarize, timeCommand, type TimedCommand } from './measure.ts'
import { modelFiles } from './peers/model-files.ts'
import { writeFiles } from './peers/peer.ts'
import { createVirtualEnvironment } from './virtual-environment.ts'
import { repositoryFolder, workFolder } from './work-folder.ts'

const { values } = parseArgs({ options: { sizes: { type: 'string' }, runs: { type: 'string' } } })
const sizes = (values.sizes ?? '500,2000').split(',').map(Number)
const runs = Number(values.runs ?? '3')
/** From cold, beside SQLMesh. */
const AIM = 10

interface LoadPeer {
  name: string
  /** What it keeps between commands, relative to the project. */
  caches: readonly string[]
  /** Ends when the plan is made; throws unless it is a plan of `size` new models. */
  plan: (folder: string, size: number) => Promise<TimedCommand>
}

await timeCommand('npm', ['run', 'build', '--silent'], { cwd: repositoryFolder })
const peers = [await createSqlmesh(), createMillrace()]
console.log(
  `${new Date().toISOString().slice(0, 10)}, ${runs} runs of each, in turns; median (least–most) in seconds.\n`,
)
for (const size of sizes) console.log(await measure(size))

async function measure(size: number): Promise<string> {
  const workload = generateWorkload(size)
  const start = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)
  const entries = peers.map((peer, index) => ({
    peer,
    folder: path.join(workFolder, 'projects', `load-${size}-${index}`),
    cold: [] as number[],
    warm: [] as number[],
  }))
  for (const { folder } of entries) {
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    await writeFiles(folder, modelFiles(workload, start, 'disable_anonymized_analytics: true\n'))
  }
  // The first round fills the page cache.
  for (let run = 0; run <= runs; run += 1) {
    for (const { peer, folder, cold, warm } of entries) {
      console.error(`${size} models, run ${run} of ${runs}: ${peer.name}`)
      for (const cache of peer.caches) await rm(path.join(folder, cache), { recursive: true, force: true })
      const times = [await peer.plan(folder, size), await peer.plan(folder, size)].map(({ wallMs }) => wallMs)
      if (run === 0) continue
      cold.push(times[0] ?? NaN)
      warm.push(times[1] ?? NaN)
    }
  }
  const [sqlmesh, millrace] = entries.map(({ cold }) => summarize(cold)?.medianMs ?? NaN)
  const ratio = (sqlmesh ?? NaN) / (millrace ?? NaN)
  return [
    `| ${size} models, load average ${(loadavg()[0] ?? 0).toFixed(1)} | cold | warm |`,
    '|---|---:|---:|',
    ...entries.map(({ peer, cold, warm }) => `| ${peer.name} | ${spread(cold)} | ${spread(warm)} |`),
    '',
    `Cold, Millrace is ${ratio.toFixed(1)} times as fast; the aim of ${AIM} is ${ratio >= AIM ? 'met' : 'missed'}.`,
    '',
  ].join('\n')
}

async function createSqlmesh(): Promise<LoadPeer> {
  const environment = await createVirtualEnvironment('sqlmesh', ['sqlmesh', 'duckdb==1.5.5'])
  const script = path.join(import.meta.dirname, 'peers', 'sqlmesh-plan.py')
  return {
    name: `SQLMesh ${await environment.version('sqlmesh')}, loaded and planned from Python`,
    caches: ['.cache', 'logs', 'warehouse.duckdb', 'warehouse.duckdb.wal'],
    async plan(folder, size) {
      const timed = await timeCommand(environment.program('python'), [script, folder], { cwd: folder })
      assertPlanned(Number(timed.stdout.trim().split('\n').at(-1)), size)
      return timed
    },
  }
}

function createMillrace(): LoadPeer {
  const home = path.join(workFolder, 'load-cache')
  return {
    name: '`node dist/bin.js plan`',
    caches: ['.millrace', path.relative(path.join(workFolder, 'projects', 'any'), home)],
    async plan(folder, size) {
      const env = { XDG_CACHE_HOME: home }
      const args = [path.join(repositoryFolder, 'dist', 'bin.js'), 'plan', folder, '--json']
      const timed = await timeCommand('node', args, { cwd: folder, env })
      assertPlanned((JSON.parse(timed.stdout) as { changes: unknown[] }).changes.length, size)
      return timed
    },
  }
}

function assertPlanned(planned: number, size: number): void {
  if (planned !== size) throw new Error(`Expected a plan of ${size} models, got one of ${planned}`)
}

function spread(values: readonly number[]): string {
  const { medianMs = NaN, minMs = NaN, maxMs = NaN } = summarize(values) ?? {}
  const [median, least, most] = [medianMs, minMs, maxMs].map((ms) => (ms / 1000).toFixed(2))
  return `${median} (${least}–${most})`
}
