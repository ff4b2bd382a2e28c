/** What each type of database promises, as the documentation shows it and the code says it. */
import type { DatabaseCapabilities } from '../../../src/connections/databases/database.ts'

const duckdb: DatabaseCapabilities = {
  persistent: true,
  checkpoints: true,
  interrupts: true,
  transactions: 'calls',
  uniqueKeys: true,
  writers: 'many',
  processes: 'one',
  localFiles: true,
  viewColumnComments: true,
}

const ducklake: DatabaseCapabilities = {
  ...duckdb,
  checkpoints: false,
  uniqueKeys: false,
  writers: 'one',
  viewColumnComments: false,
}

const server = { checkpoints: false, processes: 'many' } as const

export const PROMISES = {
  'DuckDB in memory': { ...duckdb, persistent: false, checkpoints: false },
  'DuckDB file': duckdb,
  MotherDuck: { ...duckdb, ...server },
  'DuckLake in DuckDB': ducklake,
  'DuckLake in SQLite': ducklake,
  'DuckLake in PostgreSQL': { ...ducklake, ...server },
  Quack: { ...duckdb, ...server, interrupts: false, transactions: 'script', localFiles: false },
} satisfies Record<string, DatabaseCapabilities>

export type SubjectName = keyof typeof PROMISES
