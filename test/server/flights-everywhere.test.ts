/** The flights example builds from one folder into every type of database, chosen by its gateway; the tables are the same. */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { parseConnection } from '../../src/connections/config.ts'
import { connectionRegistry } from '../../src/connections/registry.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { startPostgres, type PostgresServer } from '../helpers/postgres.ts'
import { startQuackServer } from '../helpers/quack-server.ts'
import { digestTables, type TableDigest } from '../helpers/table-digests.ts'
import { startBuild, startTestServer, type TestServer } from '../helpers/worker.ts'

const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))
const TOKEN = 'the-server-token'
/** One of the 21 models is embedded in others. */
const TABLES = 20

let server: TestServer
let postgres: PostgresServer
let folder: string
let connections: Record<string, Record<string, unknown>>
const ends: (() => Promise<void>)[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-flights-'))
  const extensions = await extensionDirectory('ducklake', 'httpfs', 'quack', 'sqlite_scanner', 'postgres_scanner')
  server = await startTestServer()
  postgres = await startPostgres()
  await postgres.createDatabase('lake')
  const quack = await startQuackServer({
    file: join(folder, 'served.duckdb'),
    token: TOKEN,
    cwd: folder,
    onEnd: (end) => ends.push(end),
  })
  const lake = { type: 'ducklake', extension_directory: extensions }
  connections = {
    file: { type: 'duckdb', database: 'warehouse.duckdb' },
    memory: { type: 'duckdb' },
    duckdb_lake: { ...lake, catalog: 'lake.ducklake', data_path: 'lake_of_duckdb' },
    sqlite_lake: { ...lake, catalog: 'sqlite:lake.sqlite', data_path: 'lake_of_sqlite' },
    postgres_lake: {
      ...lake,
      catalog: postgres.address('lake'),
      password: { env: 'LAKE_PASSWORD' },
      data_path: 'lake_of_postgres',
    },
    quack: { type: 'quack', uri: quack.uri, token: { env: 'QUACK_TOKEN' }, extension_directory: extensions },
  }
  process.env['LAKE_PASSWORD'] = postgres.password
  process.env['QUACK_TOKEN'] = TOKEN
  await copyExample()
}, 240_000)

afterAll(async () => {
  for (const end of ends) await end()
  await postgres.stop()
  await server.close()
  await rm(folder, { recursive: true, force: true })
})

test.each(['file', 'memory', 'duckdb_lake', 'sqlite_lake', 'postgres_lake', 'quack'])(
  'into the gateway %s',
  async (gateway) => {
    const digests = await tablesIn(gateway)
    expect(Object.keys(digests)).toHaveLength(TABLES)
    expect(digests['core.departures']?.rows).toBe(2_999_994)
    expect(digests).toEqual(await tablesIn('file'))
  },
)

const built = new Map<string, Promise<Record<string, TableDigest>>>()

/** Of the gateway's first build. */
function tablesIn(gateway: string): Promise<Record<string, TableDigest>> {
  const tables = built.get(gateway) ?? build(gateway)
  built.set(gateway, tables)
  return tables
}

/** Builds, and reads everything in the process that holds the database: what is in memory ends with it. */
async function build(gateway: string): Promise<Record<string, TableDigest>> {
  const root = join(folder, 'examples', 'flights')
  const worker = await server.startWorker([root])
  try {
    const summary = await (await startBuild(server, { gateway, executionTime: '2001-07-01' })).result()
    expect(summary).toMatchObject({ status: 'succeeded', promoted: true, counts: { error: 0, skipped: 0 } })
    const config = parseConnection(connections[gateway] ?? {}, { root, env: process.env })
    await using lease = await connectionRegistry().lease(config, { holder: 'test' })
    return await digestTables((sql) => lease.rows(sql))
  } finally {
    await worker.stop()
  }
}

/** Its models read files of the repository's packages, two folders above. */
async function copyExample(): Promise<void> {
  const example = join(REPOSITORY, 'examples', 'flights')
  const copy = join(folder, 'examples', 'flights')
  await cp(example, copy, { recursive: true, filter: (path) => !/\.duckdb|\.millrace|\.ts$/.test(path) })
  await symlink(join(REPOSITORY, 'node_modules'), join(folder, 'node_modules'))
  const config = parse(await readFile(join(example, 'config.yaml'), 'utf8')) as Record<string, unknown>
  const gateways = Object.fromEntries(Object.entries(connections).map(([name, connection]) => [name, { connection }]))
  await writeFile(join(copy, 'config.yaml'), stringify({ ...config, gateways, default_gateway: 'file' }))
}
