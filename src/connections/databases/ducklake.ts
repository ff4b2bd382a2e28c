/** A DuckLake: a database in memory, to which the lake is attached under its name. */
import type { ConnectionConfig, DuckLakeConfig } from '../config.ts'
import { LOCAL_DUCKDB } from './capabilities.ts'
import type { Database, DatabaseCapabilities } from './database.ts'
import { openInstance } from './instance.ts'

export const ducklake: Database = {
  // A password belongs to the attached lake, not to the instance.
  credential: () => null,
  describe: (config) => describe(own(config)),
  open: async (config) => {
    const { database, catalog, dataPath, encrypted, dataInliningRowLimit, metadataSchema } = own(config)
    const lake = { catalog, dataPath, encrypted, dataInliningRowLimit, metadataSchema, readOnly: false }
    return openInstance(config, {
      address: ':memory:',
      name: describe(own(config)),
      path: null,
      capabilities: IN_MEMORY,
      main: { name: database, database: { type: 'ducklake', ...lake } },
    })
  },
}

/** Of the database that the lake is attached to. */
const IN_MEMORY: DatabaseCapabilities = {
  ...LOCAL_DUCKDB,
  persistent: false,
  checkpoints: false,
  processes: 'one',
}

function describe({ catalog }: DuckLakeConfig): string {
  if (catalog.kind !== 'postgres') return catalog.path
  const { host, hostaddr, port, dbname, user } = catalog.parameters
  const server = `${host ?? hostaddr ?? 'localhost'}${port === undefined ? '' : `:${port}`}`
  return `the lake in PostgreSQL database '${dbname ?? user ?? ''}' on ${server}`
}

function own(config: ConnectionConfig): DuckLakeConfig {
  if (config.type !== 'ducklake') throw new TypeError(`expected a connection of type ducklake; got ${config.type}`)
  return config
}
