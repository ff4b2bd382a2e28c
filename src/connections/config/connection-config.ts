/** A connection as it is checked: what all types have, and each type's own. */
import type { DuckDBLocation } from './duckdb-config.ts'
import type { DuckLakeLocation } from './ducklake-config.ts'
import type { MotherDuckLocation } from './motherduck-config.ts'
import type { QuackLocation } from './quack-config.ts'
import type { SharedConfig } from './shared-config.ts'

export interface DuckDBConfig extends SharedConfig, DuckDBLocation {
  type: 'duckdb'
}

export interface MotherDuckConfig extends SharedConfig, MotherDuckLocation {
  type: 'motherduck'
}

export interface DuckLakeConfig extends SharedConfig, DuckLakeLocation {
  type: 'ducklake'
  /** The name that the lake is attached under. Default `lake`. */
  database: string
}

export interface QuackConfig extends SharedConfig, QuackLocation {
  type: 'quack'
}

/** A type that is read but cannot be leased yet. */
export type RemoteConfig = MotherDuckConfig | DuckLakeConfig | QuackConfig

export type ConnectionConfig = DuckDBConfig | RemoteConfig
