/**
 * What goes on beside 32 long queries, in a process with nothing else in it: `busy-threads.ts FOLDER waiting|computing`. Prints, as
 * JSON, how long a token, a file and a connection took while nothing ran and while the queries did: the 95th percentile in ms.
 * Queries that wait, for what comes through a pipe as others do for a server, hold a thread of libuv each; those that compute want the
 * processors besides.
 */
import { createServer } from 'node:http'
import { execFileSync } from 'node:child_process'
import { open, readFile, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parseConnection } from '../../../src/connections/config.ts'
import { parseCredential } from '../../../src/connections/credentials/credential.ts'
import { createTokenSource } from '../../../src/connections/credentials/token-source.ts'
import { connectionRegistry } from '../../../src/connections/registry.ts'

const QUERIES = 32
const SAMPLES = 300
const [folder = '', mode = ''] = process.argv.slice(2)
const file = join(folder, 'a-file')
await writeFile(file, 'x'.repeat(10_000))

let issued = 0
const server = createServer((request, response) => {
  request.resume()
  issued += 1
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ access_token: `token-${issued}`, token_type: 'Bearer', expires_in: 3600 }))
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const tokenUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
const oauth2 = { token_url: tokenUrl, client_id: 'reader', client_secret: 'a-client-secret' }
const source = createTokenSource(parseCredential({ oauth2 }, { root: folder, name: 'token' }), { env: {} })

const registry = connectionRegistry()
const owner = registry.attach('script')
const config = parseConnection({ database: 'busy.duckdb', concurrent_tasks: 64 }, { root: folder, env: {} })
const work = {
  token: async () => source.refused(await source.get()),
  file: async () => void (await readFile(file)),
  connection: async () => {
    const lease = await registry.lease(config, { holder: 'sample' })
    await lease.release()
  },
}

// What is made once, and compiled once, is in neither.
await measure(50)
const idle = await measure(SAMPLES)
const leases = await Promise.all(
  Array.from({ length: QUERIES }, (_, nth) => registry.lease(config, { holder: `query ${nth}` })),
)
let ended = 0
const pipes = leases.map((_, nth) => join(folder, `pipe-${nth}`))
if (mode === 'waiting') execFileSync('mkfifo', pipes)
const running = leases.map(async (lease, nth) => {
  const read = `SELECT count(*) FROM read_csv('${pipes[nth]}', auto_detect = false, columns = {'x': 'INTEGER'})`
  // Runs for minutes unless it is interrupted.
  const compute = 'SELECT count(*) FROM range(200_000_000_000) WHERE range % 7 = 3'
  await lease.rows(mode === 'waiting' ? read : compute).catch(() => undefined)
  ended += 1
})
await measure(20)
const busy = await measure(SAMPLES)
const endedEarly = ended
// A pipe that is written to ends what waits for it.
if (mode === 'waiting') for (const pipe of pipes) await (await open(pipe, 'w')).close()
await Promise.all(leases.map((lease) => lease.release()))
await Promise.all(running)
await owner.detach()
server.closeAllConnections()
server.close()
process.stdout.write(`${JSON.stringify({ idle, busy, endedEarly, issued })}\n`)

async function measure(count: number): Promise<Record<keyof typeof work, number>> {
  const times = { token: [] as number[], file: [] as number[], connection: [] as number[] }
  for (let nth = 0; nth < count; nth += 1) {
    for (const name of ['token', 'file', 'connection'] as const) {
      const startedMs = performance.now()
      await work[name]()
      times[name].push(performance.now() - startedMs)
    }
  }
  const p95 = (all: number[]): number => all.sort((a, b) => a - b)[Math.floor(all.length * 0.95)] ?? NaN
  return { token: p95(times.token), file: p95(times.file), connection: p95(times.connection) }
}
