/**
 * What a lease costs: a warm one (lease, SELECT 1, release) beside a raw connection of DuckDB's own and beside opening the file
 * for every piece of work.
 * npm run bench:leases -- [--samples 2000]
 */
import { DuckDBInstance, type DuckDBResultReader } from '@duckdb/node-api'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { parseConnection } from '../src/connections/config.ts'
import { connectionRegistry } from '../src/connections/registry.ts'
import { summarize } from './measure.ts'

const { values } = parseArgs({ options: { samples: { type: 'string' } } })
const samples = Number(values.samples ?? '2000')
/** Opening takes about a thousand times as long. */
const openings = Math.max(10, Math.round(samples / 40))
const warmUp = Math.max(20, Math.round(samples / 10))

const folder = await mkdtemp(path.join(tmpdir(), 'millrace-leases-'))
try {
  console.log(await report())
} finally {
  await rm(folder, { recursive: true, force: true })
}

async function report(): Promise<string> {
  const raw = await DuckDBInstance.create(path.join(folder, 'raw.duckdb'))
  const registry = connectionRegistry()
  const owner = registry.attach('bench')
  const config = parseConnection({ database: 'leased.duckdb' }, { root: folder, env: {} })
  // One of the activity's own, as in a worker; it is never aborted here.
  const activity = new AbortController()
  const work = {
    raw: async () => {
      const connection = await raw.connect()
      rowsOf(await connection.runAndReadAll('SELECT 1'))
      connection.disconnectSync()
    },
    lease: async () => {
      const lease = await registry.lease(config, { holder: 'bench', signal: activity.signal })
      await lease.rows('SELECT 1')
      await lease.release()
    },
    open: async () => {
      const instance = await DuckDBInstance.create(path.join(folder, 'opened.duckdb'))
      const connection = await instance.connect()
      rowsOf(await connection.runAndReadAll('SELECT 1'))
      connection.disconnectSync()
      instance.closeSync()
    },
  }
  const times = { raw: [] as number[], lease: [] as number[], open: [] as number[] }
  for (let nth = 0; nth < warmUp; nth += 1) for (const one of [work.raw, work.lease]) await one()
  // In turns, so that what disturbs the machine disturbs all of them.
  for (let nth = 0; nth < samples; nth += 1) {
    times.raw.push(await timed(work.raw))
    times.lease.push(await timed(work.lease))
    if (nth % Math.ceil(samples / openings) === 0) times.open.push(await timed(work.open))
  }
  await owner.detach()
  raw.closeSync()
  return table(times)
}

/** A lease gives rows; so must what it is compared with. */
function rowsOf(reader: DuckDBResultReader): unknown {
  return reader.getRowObjectsJson()
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

function table(times: { raw: number[]; lease: number[]; open: number[] }): string {
  const [raw, lease, open] = [times.raw, times.lease, times.open].map((all) => summarize(all)?.medianMs ?? NaN)
  const rows = [
    ['raw: connect, SELECT 1, disconnect', times.raw.length, raw],
    ['warm lease: lease, SELECT 1, release', times.lease.length, lease],
    ['open per activity: open the file, SELECT 1, close', times.open.length, open],
  ] as const
  return [
    '| | samples | median | beside raw |',
    '|---|---:|---:|---:|',
    ...rows.map(
      ([name, count, ms = NaN]) =>
        `| ${name} | ${count} | ${inMicroseconds(ms)} | ${(ms / (raw ?? NaN)).toFixed(2)} × |`,
    ),
    '',
    `A warm lease costs ${inMicroseconds((lease ?? NaN) - (raw ?? NaN))} more than a raw connection; opening costs ${((open ?? NaN) / (lease ?? NaN)).toFixed(0)} times as much as a lease.`,
  ].join('\n')
}

function inMicroseconds(ms: number): string {
  return `${(ms * 1000).toFixed(0)} µs`
}
