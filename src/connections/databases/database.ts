/** What generic code knows of a database type: one file per type, one line in the map. */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { Admission } from '../limits/admission.ts'
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
  /** Columns of views can have comments, as those of tables do. */
  viewColumnComments: boolean
}

/** What a lease authenticates with. */
export interface UsedCredentials {
  /**
   * A server has refused them. @returns whether another attempt will have others: not when they were obtained for this very
   * lease already.
   */
  refused(): boolean
}

/** Why no lease writes to a catalog. */
export interface NotWritable {
  /** `is attached read-only`. */
  reason: string
  hint: string
}

/** A session of one lease. */
export interface Connected {
  channel: Channel
  /** Null when none are needed. */
  credentials: UsedCredentials | null
}

/** A catalog that a lease writes to. */
export interface Target {
  /** The file; null when it has none. */
  readonly path: string | null
  /** The catalog's name. */
  readonly catalog: string
  readonly capabilities: DatabaseCapabilities
  /** What transactions pass through, one at a time; null where many may write. */
  readonly lane: Admission | null
}

/** An open instance. It is itself the target of leases that name no catalog. */
export interface OpenedDatabase extends Target {
  /** Its other catalogs, by name in lower case: as targets, or why they are none. */
  readonly catalogs: ReadonlyMap<string, Target | NotWritable>
  /**
   * A session of its own with the session settings of `config`, and credentials that are good.
   * @param target what unqualified names mean.
   * @throws MillraceError CREDENTIALS, CONFIG, DATABASE; ConnectionLost; the signal's reason.
   */
  connect(config: ConnectionConfig, auth: AuthContext, target?: Target): Promise<Connected>
  /** On the instance itself, with nothing set: for its upkeep. */
  connectInstance(): Promise<DuckDBConnection>
  /** What is known of the credentials it authenticates with. */
  credentials(): TokenSourceSnapshot[]
  /** Resolves when nothing of its own runs, once all sessions are closed; absent where nothing ever does. */
  settled?(): Promise<void>
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
  /** @param token of `credential`; null when there is none. @param tenant for whom other sources than that one are kept; default nobody. */
  open(config: ConnectionConfig, token: Token | null, tenant?: string): Promise<OpenedDatabase>
}
