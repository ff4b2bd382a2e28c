/** The process's databases: who owns the registry, which instance serves a configuration, when it ends. */
import { isMainThread } from 'node:worker_threads'
import { MillraceError } from '../errors.ts'
import { abortable } from './abortable.ts'
import type { ConnectionConfig, ConnectionType } from './config.ts'
import { connectionConflict } from './connection-conflict.ts'
import { haveSameLiterals } from './config/literal-secrets.ts'
import { normalize, type NormalizedConnection } from './connection-key.ts'
import type { AuthContext } from './credentials/auth-context.ts'
import { createTokenSource, type TokenSource } from './credentials/token-source.ts'
import type { Database } from './databases/database.ts'
import { DATABASES } from './databases/index.ts'
import type { Lease } from './lease.ts'
import { outsideContext } from './outside-context.ts'
import { mayBeRefusal } from './sql-errors.ts'
import { SharedDatabase, type DatabaseSnapshot, type LeaseRequest } from './shared-database.ts'

export interface LeaseOptions {
  /** Shown to others who wait, e.g. `sales.orders`. */
  holder: string
  /** Ends waiting, and later interrupts what runs on the lease; never a COMMIT. */
  signal?: AbortSignal
  /** How long to wait for one of the connection's `concurrent_tasks`. Default 10 minutes. */
  timeoutMs?: number
  /** How long to wait for a file that another process holds; 0 tries once. Default 60 s. */
  lockTimeoutMs?: number
  /** Called at most every second while it waits, in the caller's context. */
  onWaiting?: (message: string) => void
  /**
   * Who asks, for the sources of credentials. Its `signal` and `heartbeat` default to `signal` and `onWaiting`; the sources are asked
   * in the caller's own asynchronous context.
   */
  auth?: AuthContext
}

/** Someone who needs the registry: a worker, a command. */
export interface Owner {
  /**
   * The last one that leaves drains every database for a grace time (10 s), interrupts what is left, checkpoints and closes.
   * The second call is the first.
   */
  detach(): Promise<void>
}

export interface RegistrySnapshot {
  owners: string[]
  databases: DatabaseSnapshot[]
  /** Instances opened since the process started. */
  opens: number
}

/** A lease was given, or an instance opened. */
export interface ConnectionEvent {
  kind: 'leased' | 'opened'
  type: ConnectionType
  /** As `DatabaseSnapshot.label`. */
  label: string
  /** How long the holder waited, or the opening took. */
  tookMs: number
}

export interface ConnectionRegistry {
  /** @param owner its name, for `snapshot`. */
  attach(owner: string): Owner
  /**
   * A connection of one's own on the database's one instance.
   * @throws MillraceError CONNECTION_CONFLICT, DATABASE_LOCKED, LEASE_TIMEOUT, DATABASE, NOT_YET; the signal's reason.
   */
  lease(config: ConnectionConfig, options: LeaseOptions): Promise<Lease>
  snapshot(): RegistrySnapshot
  /** @param observer must not throw. @returns what ends it. */
  observe(observer: (event: ConnectionEvent) => void): () => void
}

export interface RegistryOptions {
  /** How types are opened, where not as usual. For tests: a service that cannot be reached. */
  databases?: Partial<Record<ConnectionType, Database>>
  /** After this time without a lease a file is let go. Default 10 s. */
  idleMs?: number
  /** What holders get to finish when the last owner leaves. Default 10 s. */
  graceMs?: number
}

const IDLE_MS = 10_000
const GRACE_MS = 10_000
const SLOT_TIMEOUT_MS = 600_000
const LOCK_TIMEOUT_MS = 60_000

/** Shared by every copy of this package in the process. */
const REGISTRY = Symbol.for('millrace.connection-registry')

/**
 * The process's one registry.
 * @throws MillraceError DATABASE in a worker thread, whose globals are its own: it would open files a second time.
 */
export function connectionRegistry(): ConnectionRegistry {
  assertMainThread()
  const globals = globalThis as { [REGISTRY]?: ConnectionRegistry }
  globals[REGISTRY] ??= createConnectionRegistry()
  return globals[REGISTRY]
}

/** For tests: two registries in one process must not lease the same file. */
export function createConnectionRegistry(options: RegistryOptions = {}): ConnectionRegistry {
  return outsideContext(() => new Registry(options))
}

class Registry implements ConnectionRegistry {
  readonly #kinds: Readonly<Record<ConnectionType, Database>>
  readonly #idleMs: number
  readonly #graceMs: number
  readonly #owners = new Set<{ name: string }>()
  readonly #databases = new Map<string, SharedDatabase>()
  readonly #sources = new Map<string, { key: string; config: ConnectionConfig; source: TokenSource }>()
  /** Those that were opened with a token and end: at their last lease when it has been replaced. */
  readonly #drained = new Set<SharedDatabase>()
  /** Ends of databases that may still be open. */
  readonly #endings = new Map<string, Promise<void>>()
  readonly #observers = new Set<(event: ConnectionEvent) => void>()
  #shuttingDown: Promise<void> | null = null
  #opens = 0

  constructor({ databases = {}, idleMs = IDLE_MS, graceMs = GRACE_MS }: RegistryOptions) {
    this.#kinds = { ...DATABASES, ...databases }
    this.#idleMs = idleMs
    this.#graceMs = graceMs
  }

  attach(name: string): Owner {
    assertMainThread()
    const owner = { name }
    this.#owners.add(owner)
    let detached: Promise<void> | null = null
    return {
      detach: () => (detached ??= this.#detach(owner)),
    }
  }

  async lease(config: ConnectionConfig, options: LeaseOptions): Promise<Lease> {
    assertMainThread()
    const { holder, signal, timeoutMs = SLOT_TIMEOUT_MS, lockTimeoutMs = LOCK_TIMEOUT_MS, onWaiting } = options
    const auth = { signal, heartbeat: onWaiting, ...options.auth }
    const normalized = normalize(config)
    const startedMs = performance.now()
    const sinceMs = Date.now()
    signal?.throwIfAborted()
    for (;;) {
      // What opened now would be closed under its holder.
      while (this.#shuttingDown !== null) await abortable(this.#shuttingDown, signal)
      const database = await this.#generation(this.#databaseFor(normalized, config), normalized, auth)
      if (database === null) continue
      const request = { holder, signal, timeoutMs, lockTimeoutMs, onWaiting, auth }
      const lease = await leaseOf(database, config, { request, sinceMs })
      if (lease === null) continue
      this.#tell('leased', database, performance.now() - startedMs)
      return lease
    }
  }

  snapshot(): RegistrySnapshot {
    return {
      owners: [...this.#owners].map(({ name }) => name),
      databases: [...this.#databases.values()].map((database) => database.snapshot()),
      opens: this.#opens,
    }
  }

  observe(observer: (event: ConnectionEvent) => void): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  #tell(kind: ConnectionEvent['kind'], { config, label }: SharedDatabase, tookMs: number): void {
    for (const observer of this.#observers) observer({ kind, type: config.type, label, tookMs })
  }

  async #detach(owner: { name: string }): Promise<void> {
    this.#owners.delete(owner)
    if (this.#owners.size > 0) return
    this.#shuttingDown ??= outsideContext(() => this.#shutDown())
    await this.#shuttingDown
  }

  async #shutDown(): Promise<void> {
    try {
      const open = [...this.#databases.values(), ...this.#drained]
      const ends = open.map((database) => database.shutDown(this.#graceMs))
      await Promise.all([...ends, ...this.#endings.values()])
    } finally {
      this.#shuttingDown = null
    }
  }

  /** The one with the token that is good now; null to ask again, when it ended meanwhile. Its source is asked in the caller's context. */
  async #generation(
    database: SharedDatabase,
    { key, identity }: NormalizedConnection,
    auth: AuthContext,
  ): Promise<SharedDatabase | null> {
    if (database.source === null) return database
    const token = await database.source.get(auth)
    if (database.ended !== null || this.#shuttingDown !== null) return null
    if (database.token === null || database.token.value === token.value) {
      // The same one may have been obtained anew.
      database.token = token
      return database
    }
    if (this.#databases.get(identity) !== database) return null
    // The old one's holders finish.
    void database.drain()
    const next = this.#add(identity, { key, config: database.config, source: database.source })
    next.token = token
    return next
  }

  #databaseFor(normalized: NormalizedConnection, config: ConnectionConfig): SharedDatabase {
    const { key, identity } = normalized
    const existing = this.#databases.get(identity)
    if (existing?.ended === null) {
      if (existing.config === config) return existing
      if (existing.key === key && haveSameLiterals(existing.config, config)) return existing
      if (!existing.isIdle) throw connectionConflict(existing.description, existing.config, config)
      // Nobody uses it: the new configuration replaces the old one.
      void existing.retire()
    }
    if (existing !== undefined) this.#leaveBehind(identity, existing)
    return this.#add(identity, { key, config, source: this.#sourceOf(normalized, config) })
  }

  /** Kept while instances come and go: a token that is still good is not fetched again. */
  #sourceOf({ key, identity }: NormalizedConnection, config: ConnectionConfig): TokenSource | null {
    const kept = this.#sources.get(identity)
    if (kept?.key === key && haveSameLiterals(kept.config, config)) return kept.source
    const credential = this.#kinds[config.type].credential(config)
    if (credential === null) return null
    const source = createTokenSource(credential, { env: config.environment.variables() })
    this.#sources.set(identity, { key, config, source })
    return source
  }

  #add(
    identity: string,
    { key, config, source }: { key: string; config: ConnectionConfig; source: TokenSource | null },
  ): SharedDatabase {
    const database: SharedDatabase = new SharedDatabase({
      key,
      config,
      kind: this.#kinds[config.type],
      source,
      idleMs: this.#idleMs,
      predecessor: this.#endings.get(identity) ?? Promise.resolve(),
      onOpened: (tookMs) => {
        this.#opens += 1
        this.#tell('opened', database, tookMs)
      },
      onEnding: () => {
        this.#leaveBehind(identity, database)
        if (this.#databases.get(identity) === database) this.#databases.delete(identity)
      },
    })
    this.#databases.set(identity, database)
    return database
  }

  /** A file opens again when its last instance is closed; what is opened with a token may be open twice. */
  #leaveBehind(identity: string, database: SharedDatabase): void {
    if (database.ended === null) return
    if (database.source === null) return this.#remember(identity, database.ended)
    this.#drained.add(database)
    void database.ended.finally(() => this.#drained.delete(database))
  }

  #remember(identity: string, ending: Promise<void>): void {
    const before = this.#endings.get(identity)
    if (before === ending) return
    const all = outsideContext(async () => {
      await Promise.all([before, ending])
      if (this.#endings.get(identity) === all) this.#endings.delete(identity)
    })
    this.#endings.set(identity, all)
  }
}

/** @returns null to ask again: it ended, or was refused with a token that was not new. */
async function leaseOf(
  database: SharedDatabase,
  config: ConnectionConfig,
  { request, sinceMs }: { request: LeaseRequest; sinceMs: number },
): Promise<Lease | null> {
  try {
    return await database.lease(config, request)
  } catch (error) {
    if (mayBeRefusal(error) && database.refuseToken(sinceMs)) return null
    throw error
  }
}

function assertMainThread(): void {
  if (isMainThread) return
  throw new MillraceError('DATABASE', 'databases are opened in the main thread only; this is a worker thread', {
    hint: 'A second thread would open the same file a second time, and committed rows would be lost: lease in the main thread.',
  })
}
