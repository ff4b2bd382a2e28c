/** Whether the gateway's database opens, can be written to, and holds a state that this version reads. */
import { constants, existsSync, readdirSync } from 'node:fs'
import { access } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { ConnectionConfig } from '../../connections/config.ts'
import { DATABASES } from '../../connections/databases/index.ts'
import type { Lease } from '../../connections/lease.ts'
import { connectionRegistry } from '../../connections/registry.ts'
import { MillraceError } from '../../errors.ts'
import { assertStateReadable, readStateVersion, STATE_VERSION } from '../../state/schema.ts'
import { withScratchDatabase } from '../scratch-database.ts'
import { fail, failed, ok, warn, type Check } from './check.ts'
import { existingPart } from './existing-part.ts'

/** A worker's idle database is let go after a while; a diagnosis does not wait for it. */
const LOCK_TIMEOUT_MS = 1_000

const HINT = "Check the gateway's connection in config.yaml."

/**
 * Opens it, authenticates, writes and drops a table. A file is never made: a database that does not exist yet is tried in memory, with
 * the same settings and extensions, and without the catalogs that do not exist.
 */
export async function checkDatabase(connection: ConnectionConfig): Promise<Check[]> {
  const registry = connectionRegistry()
  const owner = registry.attach('doctor')
  try {
    const { existing, missing } = existingPart(connection)
    if (missing === null) return await probe(existing, DATABASES[connection.type].describe(connection))
    const [opened = ok('database', '')] = await probe(existing, '')
    return [opened.status === 'ok' ? await checkNewFile(missing) : opened]
  } finally {
    await owner.detach()
  }
}

/** Whether the folder of extensions is there, and has those that the connection names. */
export async function checkExtensions({ extensions, extensionDirectory }: ConnectionConfig): Promise<Check> {
  const name = 'extensions'
  const wanted = extensions.map((extension) => extension.name)
  const list = wanted.length === 0 ? 'none needed' : `needed: ${wanted.join(', ')}`
  if (extensionDirectory === null) return ok(name, `${list}; extension_directory is not set, DuckDB's own is used`)
  if (!existsSync(extensionDirectory)) {
    const hint = 'Create it (<folder>/v<version>/<platform>/<name>.duckdb_extension), or leave extension_directory out.'
    const message = `extension_directory ${extensionDirectory} is not there; ${list}`
    return wanted.length === 0 ? warn(name, message, hint) : fail(name, message, hint)
  }
  const folder = await extensionFolder(extensionDirectory)
  const present = existsSync(folder) ? readdirSync(folder) : []
  const missing = wanted.filter((extension) => !present.includes(`${extension}.duckdb_extension`))
  if (missing.length === 0) return ok(name, `${list}; in ${extensionDirectory}`)
  return warn(
    name,
    `${folder} has no ${missing.join(', ')}`,
    'Put the file there, unless the extension is built in or this machine reaches the extension repository.',
  )
}

async function probe(connection: ConnectionConfig, description: string): Promise<Check[]> {
  try {
    await using lease = await connectionRegistry().lease(connection, {
      holder: 'doctor',
      lockTimeoutMs: LOCK_TIMEOUT_MS,
    })
    await writeProbe(lease)
    return [ok('database', `${description} opens and can be written to`), await checkState(lease)]
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'DATABASE_LOCKED') {
      const hint = `${error.hint ?? ''} Verbs that need it wait for --lock-timeout.`.trim()
      return [warn('database', error.message, hint)]
    }
    return [failed('database', error, HINT)]
  }
}

/** Made and dropped in one transaction: nobody ever sees it, and the commit is a real one. */
async function writeProbe(lease: Lease): Promise<void> {
  const table = `"main"."millrace__probe_${process.pid}"`
  await lease.script(`CREATE TABLE ${table} AS SELECT 1 AS probe; DROP TABLE ${table}`)
}

async function checkState(lease: Lease): Promise<Check> {
  try {
    const version = await readStateVersion(lease)
    assertStateReadable(version)
    if (version === 0) return ok('state', 'none yet; the first build makes it')
    if (version === STATE_VERSION) return ok('state', `version ${version}`)
    return ok('state', `version ${version}; the next build migrates it to version ${STATE_VERSION}`)
  } catch (error) {
    return failed('state', error, HINT)
  }
}

async function checkNewFile(file: string): Promise<Check> {
  const folder = dirname(file)
  try {
    await access(folder, constants.W_OK)
    return ok('database', `${file} is not there yet; the first build makes it`)
  } catch {
    const hint = 'Create the folder, or let the user that runs Millrace write to it.'
    return fail('database', `${file} is not there, and ${folder} cannot be written to`, hint)
  }
}

/** Extensions lie in `<extension_directory>/<version>/<platform>`. */
async function extensionFolder(extensionDirectory: string): Promise<string> {
  const query = 'SELECT version() AS version, platform FROM pragma_platform()'
  const [row] = await withScratchDatabase((lease) => lease.rows<{ version: string; platform: string }>(query))
  return join(extensionDirectory, row?.version ?? '', row?.platform ?? '')
}
