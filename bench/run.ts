/**
 * The benchmark: the same project for every peer, run side by side.
 * npm run bench -- [--sizes 100,500] [--runs 3] [--peers raw,dbt,sqlmesh,millrace,millrace-tsx]
 */
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { loadavg } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { generateWorkload, type Workload } from './generate.ts'
import { createDbtPeer } from './peers/dbt.ts'
import { createMillraceCheckoutPeer, createMillracePeer } from './peers/millrace.ts'
import type { Peer } from './peers/peer.ts'
import { createRawPeer } from './peers/raw.ts'
import { createSqlmeshPeer } from './peers/sqlmesh.ts'
import { formatReport, type Measurements } from './report.ts'
import { digestTables } from './table-digest.ts'
import { workFolder } from './work-folder.ts'

const peerFactories: Record<string, () => Peer> = {
  raw: createRawPeer,
  dbt: createDbtPeer,
  sqlmesh: createSqlmeshPeer,
  millrace: createMillracePeer,
  'millrace-tsx': createMillraceCheckoutPeer,
}

const options = readOptions(process.argv.slice(2))
await mkdir(workFolder, { recursive: true })
const descriptions: string[] = []
for (const { prepare } of options.peers) descriptions.push(await prepare())

// Once around unmeasured: fills the page cache and every compiler's cache.
await measureSize(10, 1)
for (const size of options.sizes) {
  const { measurements, load } = await measureSize(size, options.runs)
  const report = formatReport({ size, runs: options.runs, descriptions, measurements, load })
  await writeFile(path.join(workFolder, `results-${size}.json`), `${JSON.stringify(measurements, null, 2)}\n`)
  console.log(report)
}

/** All peers in turn, `runs` times: what disturbs the machine for a while disturbs everyone. */
async function measureSize(size: number, runs: number): Promise<{ measurements: Measurements[]; load: number }> {
  const workload = generateWorkload(size)
  const start = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)
  const entries = options.peers.map((peer) => ({
    peer,
    folder: path.join(workFolder, 'projects', `${size}-${peer.name.replaceAll(/\W+/g, '-').toLowerCase()}`),
    measurements: { peer, commandMs: [], buildMs: [], unchangedMs: [] } as Measurements,
  }))
  for (const { peer, folder } of entries) {
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    await peer.write(workload, folder, start)
  }
  const checkTables = createTableCheck(workload)
  let load = 0
  for (let run = 1; run <= runs; run += 1) {
    for (const { peer, folder, measurements } of entries) {
      load = Math.max(load, loadavg()[0] ?? 0)
      console.error(`${size} models, run ${run} of ${runs}: ${peer.name}`)
      await measureRun(peer, folder, measurements, checkTables)
    }
  }
  return { measurements: entries.map(({ measurements }) => measurements), load }
}

type TableCheck = (peer: Peer, folder: string) => Promise<void>

async function measureRun(peer: Peer, folder: string, into: Measurements, checkTables: TableCheck): Promise<void> {
  if (peer.buildOnly !== undefined) {
    await removeLeavings(peer, folder)
    into.buildMs.push(await peer.buildOnly(folder))
    await checkTables(peer, folder)
  }
  await removeLeavings(peer, folder)
  const first = await peer.build(folder)
  await checkTables(peer, folder)
  into.commandMs.push(first.commandMs)
  if (first.buildMs !== null) into.buildMs.push(first.buildMs)
  const again = await peer.rebuild(folder)
  await checkTables(peer, folder)
  into.unchangedMs.push(again.commandMs)
}

async function removeLeavings(peer: Peer, folder: string): Promise<void> {
  for (const name of peer.leavings) await rm(path.join(folder, name), { recursive: true, force: true })
}

/** The first database checked decides; a peer whose tables hold anything else ends the benchmark without a ratio. */
function createTableCheck(workload: Workload): TableCheck {
  let expected: { peer: string; rows: number; hash: string } | null = null
  return async (peer, folder) => {
    const digest = await digestTables(path.join(folder, peer.database), workload)
    expected ??= { peer: peer.name, ...digest }
    if (digest.hash === expected.hash) return
    throw new Error(
      `Tables differ: ${peer.name} has ${digest.rows} rows with hash ${digest.hash}, ` +
        `${expected.peer} has ${expected.rows} rows with hash ${expected.hash}`,
    )
  }
}

function readOptions(args: readonly string[]) {
  const known = Object.keys(peerFactories)
  const { values } = parseArgs({
    args: [...args],
    options: {
      sizes: { type: 'string', default: '100,500' },
      runs: { type: 'string', default: '3' },
      peers: { type: 'string', default: known.join(',') },
    },
  })
  const peers = values.peers.split(',').map((name) => {
    const createPeer = peerFactories[name]
    if (createPeer === undefined) throw new Error(`Unknown peer '${name}'. Known: ${known.join(', ')}`)
    return createPeer()
  })
  return { sizes: values.sizes.split(',').map(toCount), runs: toCount(values.runs), peers }
}

function toCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > 9999) throw new Error(`Expected 1 to 9999, got '${text}'`)
  return count
}
