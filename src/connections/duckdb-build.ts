/** The DuckDB that this process runs: its version and platform, the extensions it knows, and which files of a folder it loads. */
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier } from '../sql/identifiers.ts'
import { toJsonRows } from './json-rows.ts'
import { classifySqlError } from './sql-errors.ts'

export interface DuckDBBuild {
  /** As in the folders of extensions: `v1.5.5`. */
  version: string
  /** As in the folders of extensions: `linux_amd64`, `osx_arm64`, `windows_amd64` … */
  platform: string
  extensions: readonly KnownExtension[]
}

export interface KnownExtension {
  name: string
  /** Other names that LOAD understands, e.g. `sqlite` for `sqlite_scanner`. */
  aliases: readonly string[]
  /** Part of DuckDB itself: there is no file to load. */
  builtIn: boolean
}

/** Asks DuckDB itself, in a database in memory. */
export async function describeDuckDB(): Promise<DuckDBBuild> {
  return inMemory({}, async (connection) => {
    const rows = async <T>(sql: string) => toJsonRows(await connection.runAndReadAll(sql)) as T[]
    const [build] = await rows<{ version: string; platform: string }>(BUILD)
    if (build === undefined) throw new Error('DuckDB does not tell its version')
    return { ...build, extensions: await rows<KnownExtension>(EXTENSIONS) }
  })
}

/**
 * Loads extensions of a folder one after another, in the order given, in a database in memory. What they need themselves
 * is taken from the same folder; nothing is fetched.
 * @returns for each that does not load, DuckDB's reason.
 */
export async function findUnloadable(directory: string, names: readonly string[]): Promise<Map<string, string>> {
  const settings = { extension_directory: directory, autoinstall_known_extensions: 'false' }
  return inMemory(settings, async (connection) => {
    const reasons = new Map<string, string>()
    for (const name of names) {
      try {
        await connection.run(`LOAD ${quoteIdentifier(name)}`)
      } catch (error) {
        // DuckDB's first line may announce a second one.
        reasons.set(name, classifySqlError(error).message.replace(/:$/, ''))
      }
    }
    return reasons
  })
}

const BUILD = 'SELECT version() AS version, platform FROM pragma_platform()'

const EXTENSIONS = `
  SELECT extension_name AS name, aliases, install_mode = 'STATICALLY_LINKED' AS "builtIn"
  FROM duckdb_extensions() ORDER BY name`

async function inMemory<T>(
  settings: Record<string, string>,
  work: (connection: DuckDBConnection) => Promise<T>,
): Promise<T> {
  const instance = await DuckDBInstance.create(':memory:', settings)
  try {
    const connection = await instance.connect()
    try {
      return await work(connection)
    } finally {
      connection.disconnectSync()
    }
  } finally {
    instance.closeSync()
  }
}
