/** Type of connection → how it is opened. */
import type { ConnectionType } from '../config.ts'
import type { Database } from './database.ts'
import { duckdb } from './duckdb.ts'
import { motherduck } from './motherduck.ts'
import { notYet } from './not-yet.ts'

export const DATABASES: Readonly<Record<ConnectionType, Database>> = {
  duckdb,
  motherduck,
  ducklake: notYet,
  quack: notYet,
}
