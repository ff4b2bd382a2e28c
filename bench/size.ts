/**
 * How the cost of a model grows with the number of models: graphs of three shapes, each at two sizes, built by raw DuckDB and by
 * Millrace. Whoever costs the same per model at any size has a ratio of 1; DuckDB's own catalog gets slower as it grows.
 * npm run bench:size -- [--sizes 1000,10000] [--shapes wide,deep,tangled] [--runs 1]
 */
import { mkdir, rm } from 'node:fs/promises'
import { loadavg } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { parentsOf, type Shape } from '../test/helpers/large-project.ts'
import { createRandom } from '../test/helpers/random.ts'
import type { BenchModel, Workload } from './generate.ts'
import { summarize } from './measure.ts'
import { createMillracePeer } from './peers/millrace.ts'
import type { Peer } from './peers/peer.ts'
import { createRawPeer } from './peers/raw.ts'
import { workFolder } from './work-folder.ts'

const { values } = parseArgs({
  options: { sizes: { type: 'string' }, shapes: { type: 'string' }, runs: { type: 'string' } },
})
const sizes = (values.sizes ?? '1000,10000').split(',').map(Number)
const shapes = (values.shapes ?? 'wide,deep,tangled').split(',') as Shape[]
const runs = Number(values.runs ?? '1')
const start = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10)

const peers = [createRawPeer(), createMillracePeer()]
for (const peer of peers) await peer.prepare()
console.log(`| shape | peer | ${sizes.map((size) => `ms per model of ${size}`).join(' | ')} | ratio |`)
console.log(`|---|---|${sizes.map(() => '---|').join('')}---|`)
for (const shape of shapes) {
  for (const peer of peers) {
    const costs: number[] = []
    for (const size of sizes) costs.push(await costPerModel(peer, shape, size))
    const ratio = (costs.at(-1) ?? 0) / (costs[0] ?? 1)
    console.log(
      `| ${shape} | ${peer.name} | ${costs.map((cost) => cost.toFixed(2)).join(' | ')} | ${ratio.toFixed(2)} |`,
    )
  }
}

/** ms of the build alone, of the median run. */
async function costPerModel(peer: Peer, shape: Shape, size: number): Promise<number> {
  const folder = path.join(workFolder, 'projects', `size-${shape}-${size}`)
  const times: number[] = []
  for (let run = 1; run <= runs; run += 1) {
    console.error(`${shape}, ${size} models, run ${run} of ${runs}: ${peer.name} (load ${loadavg()[0]?.toFixed(1)})`)
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    await peer.write(workloadOf(shape, size), folder, start)
    const { buildMs } = await peer.build(folder)
    if (buildMs !== null) times.push(buildMs)
  }
  await rm(folder, { recursive: true, force: true })
  return (summarize(times)?.medianMs ?? NaN) / size
}

function workloadOf(shape: Shape, size: number): Workload {
  const random = createRandom(11)
  const models = Array.from({ length: size }, (_, index): BenchModel => {
    const parents = parentsOf(shape, index, random).map((parent) => `t${parent}`)
    return {
      name: `t${index}`,
      parents,
      query: (relation) =>
        parents.length === 0
          ? `SELECT ${index} AS x`
          : `SELECT (sum(x) % 1000003)::BIGINT + 1 AS x FROM (${parents.map((parent) => `SELECT x FROM ${relation(parent)}`).join(' UNION ALL ')})`,
    }
  })
  return { schema: 'bench', models }
}
