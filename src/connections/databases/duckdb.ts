/** A DuckDB file, or a database in memory. */
import { canonicalPath } from '../canonical-path.ts'
import type { ConnectionConfig, DuckDBConfig } from '../config.ts'
import { assertNotOpenInProcess } from '../file-locks.ts'
import { LOCAL_DUCKDB } from './capabilities.ts'
import type { Database } from './database.ts'
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

const IN_MEMORY = 'the database in memory'

function pathOf(config: DuckDBConfig): string | null {
  return config.database === null ? null : canonicalPath(config.database)
}

function own(config: ConnectionConfig): DuckDBConfig {
  if (config.type !== 'duckdb') throw new TypeError(`expected a connection of type duckdb; got ${config.type}`)
  return config
}
