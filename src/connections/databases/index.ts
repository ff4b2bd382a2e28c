/** Type of connection → how it is opened. */
import type { ConnectionType } from '../config.ts'
import type { Database } from './database.ts'
import { duckdb } from './duckdb.ts'
import { ducklake } from './ducklake.ts'
import { motherduck } from './motherduck.ts'
import { quack } from './quack.ts'

export const DATABASES: Readonly<Record<ConnectionType, Database>> = {
  duckdb,
  motherduck,
  ducklake,
  quack,
}
