/** A type of connection that this version reads and cannot open. */
import { MillraceError } from '../../errors.ts'
import type { Database } from './database.ts'

export const notYet: Database = {
  credential: () => null,
  describe: (config) => `the ${config.type} database`,
  open: async (config) => {
    throw new MillraceError('NOT_YET', `connections of type ${config.type} cannot be opened by this version`, {
      hint: 'Use a connection of type duckdb.',
    })
  },
}
