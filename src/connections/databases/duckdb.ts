/** A DuckDB file, or a database in memory. */
import { canonicalPath } from '../canonical-path.ts'
import type { ConnectionConfig, DuckDBConfig } from '../config.ts'
import { assertNotOpenInProcess } from '../file-locks.ts'
import type { Database, DatabaseCapabilities } from './database.ts'
import { openInstance } from './instance.ts'

export const duckdb: Database = {
  credential: () => null,
  describe: (config) => pathOf(own(config)) ?? IN_MEMORY,
  open: async (config) => {
    const path = pathOf(own(config))
    if (path !== null) assertNotOpenInProcess(path)
    const readOnly = /^read_only$/i.test(config.settings['access_mode'] ?? '')
    return openInstance(config, {
      address: path ?? ':memory:',
      name: path ?? IN_MEMORY,
      path,
      capabilities: {
        ...LOCAL_DUCKDB,
        persistent: path !== null,
        checkpoints: path !== null && !readOnly,
        processes: readOnly ? 'many' : 'one',
      },
    })
  },
}

/** What DuckDB's own storage promises, in memory and in files alike. */
const LOCAL_DUCKDB = {
  interrupts: true,
  transactions: 'calls',
  uniqueKeys: true,
  writers: 'many',
  localFiles: true,
} satisfies Partial<DatabaseCapabilities>

const IN_MEMORY = 'the database in memory'

function pathOf(config: DuckDBConfig): string | null {
  return config.database === null ? null : canonicalPath(config.database)
}

function own(config: ConnectionConfig): DuckDBConfig {
  if (config.type !== 'duckdb') throw new TypeError(`expected a connection of type duckdb; got ${config.type}`)
  return config
}
