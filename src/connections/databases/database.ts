/** What generic code knows of a database type: one file per type, one line in the map. */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { ConnectionConfig } from '../config.ts'
import type { AuthContext } from '../credentials/auth-context.ts'
import type { Credential } from '../credentials/credential.ts'
import type { Token } from '../credentials/token.ts'
import type { TokenSourceSnapshot } from '../credentials/token-source.ts'

export interface DatabaseCapabilities {
  /** The data outlive the instance: it may be closed when idle. */
  persistent: boolean
  /** Space comes back, and the log shrinks, at a CHECKPOINT between transactions. */
  checkpoints: boolean
}

/** What a lease authenticates with. */
export interface UsedCredentials {
  /**
   * A server has refused them. @returns whether another attempt will have others: not when they were obtained for this very
   * lease already.
   */
  refused(): boolean
}

/** An open instance. */
export interface OpenedDatabase {
  /** The file; null when it has none. */
  readonly path: string | null
  /** Name of the main catalog. */
  readonly catalog: string
  readonly capabilities: DatabaseCapabilities
  /** A fresh connection with the session settings of `config`. */
  connect(config: ConnectionConfig): Promise<DuckDBConnection>
  /**
   * Makes sure that what runs on the connection has credentials that are good; null when none are needed.
   * @throws MillraceError CREDENTIALS, CONFIG; the signal's reason.
   */
  readonly authenticate: ((connection: DuckDBConnection, auth: AuthContext) => Promise<UsedCredentials>) | null
  /** What is known of the credentials it authenticates with. */
  credentials(): TokenSourceSnapshot[]
  /** All connections must be closed before. */
  closeSync(): void
}

export interface Database {
  /**
   * What an instance is opened with; null when it needs nothing. An instance goes on with the token it was opened with: for a newer
   * one another is opened beside it.
   */
  credential(config: ConnectionConfig): Credential | null
  /** The database's name in messages. */
  describe(config: ConnectionConfig): string
  /** @param token of `credential`; null when there is none. */
  open(config: ConnectionConfig, token: Token | null): Promise<OpenedDatabase>
}
