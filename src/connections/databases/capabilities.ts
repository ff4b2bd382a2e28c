/** What kinds of storage promise, wherever they are: as the main database, or attached to one. */
import type { DatabaseCapabilities } from './database.ts'

/** DuckDB's own, in memory and in files alike. */
export const LOCAL_DUCKDB = {
  interrupts: true,
  transactions: 'calls',
  uniqueKeys: true,
  writers: 'many',
  localFiles: true,
  viewColumnComments: true,
} satisfies Partial<DatabaseCapabilities>

/** The service's. */
export const MOTHERDUCK: DatabaseCapabilities = {
  ...LOCAL_DUCKDB,
  // Nothing is held that others wait for, but an idle connection keeps MotherDuck's instance, which costs.
  persistent: true,
  checkpoints: false,
  processes: 'many',
}
