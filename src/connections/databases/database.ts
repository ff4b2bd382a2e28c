/** What generic code knows of a database type: one file per type, one line in the map. */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { WriterLane } from '../admission.ts'
import type { Channel } from '../channel.ts'
import type { ConnectionConfig } from '../config.ts'
import type { AuthContext } from '../credentials/auth-context.ts'
import type { Credential } from '../credentials/credential.ts'
import type { Token } from '../credentials/token.ts'
import type { TokenSourceSnapshot } from '../credentials/token-source.ts'

/** What a type can promise; generic code asks these, never the type. */
export interface DatabaseCapabilities {
  /** The data outlive the instance: it may be closed when idle. */
  persistent: boolean
  /** Space comes back, and the log shrinks, at a CHECKPOINT between transactions. */
  checkpoints: boolean
  /** A statement can be ended while it runs; else whoever cancels waits for its end. */
  interrupts: boolean
  /**
   * `calls`: when its process dies, what a transaction of many calls has done is rolled back. `script`: it would stay open on the
   * server and block others, so that work is sent as one string with its own BEGIN and COMMIT.
   */
  transactions: 'calls' | 'script'
  /** Of two transactions that insert one key only one commits. */
  uniqueKeys: boolean
  /** Transactions that may write at once. */
  writers: 'many' | 'one'
  /** Processes that may have it open at once. */
  processes: 'many' | 'one'
  /** SQL reads the files of this machine. */
  localFiles: boolean
}

/** What a lease authenticates with. */
export interface UsedCredentials {
  /**
   * A server has refused them. @returns whether another attempt will have others: not when they were obtained for this very
   * lease already.
   */
  refused(): boolean
}

/** A session of one lease. */
export interface Connected {
  channel: Channel
  /** Null when none are needed. */
  credentials: UsedCredentials | null
}

/** An open instance. */
export interface OpenedDatabase {
  /** The file; null when it has none. */
  readonly path: string | null
  /** Name of the main catalog. */
  readonly catalog: string
  readonly capabilities: DatabaseCapabilities
  /** What transactions pass through, one at a time; null where many may write. */
  readonly lane: WriterLane | null
  /**
   * A session of its own with the session settings of `config`, and credentials that are good.
   * @throws MillraceError CREDENTIALS, CONFIG, DATABASE; ConnectionLost; the signal's reason.
   */
  connect(config: ConnectionConfig, auth: AuthContext): Promise<Connected>
  /** On the instance itself, with nothing set: for its upkeep. */
  connectInstance(): Promise<DuckDBConnection>
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
