/** The process's databases: who owns the registry, which instance serves a configuration, when it ends. */
import { isMainThread } from 'node:worker_threads'
import { MillraceError } from '../errors.ts'
import { abortable } from './abortable.ts'
import type { BreakerOptions } from './limits/breaker.ts'
import type { ConnectionConfig, ConnectionType } from './config.ts'
import { connectionConflict, fileConflict, tenantConflict } from './connection-conflict.ts'
import { databaseFiles } from './config/database-identity.ts'
import { haveSameLiterals } from './config/literal-secrets.ts'
import type { AuthContext } from './credentials/auth-context.ts'
import type { TokenSource } from './credentials/token-source.ts'
import type { DatabaseSnapshot } from './database-snapshot.ts'
import type { Database } from './databases/database.ts'
import { createKeyRecords, type KeyRecords, type KeySnapshot } from './key-records.ts'
import { DATABASES } from './databases/index.ts'
import { createKeptSources } from './databases/kept-sources.ts'
import type { LockHolder } from './file-locks.ts'
import type { Holder } from './limits/fair-queue.ts'
import type { Lease } from './lease.ts'
import type { LeaseRequest } from './lease-request.ts'
import { outsideContext } from './outside-context.ts'
import { mayBeRefusal } from './sql-errors.ts'
import { SharedDatabase } from './shared-database.ts'
import { normalizeFor, tenantOf, type TenantConnection } from './tenant.ts'

export interface LeaseOptions {
  /** Shown to others who wait, e.g. `sales.orders`. */
  holder: string
  /** The catalog that it writes to and that unqualified names mean. Default: the connection's own database, or its first catalog. */
  catalog?: string
  /** Ends waiting, and later interrupts what runs on the lease; never a COMMIT. */
  signal?: AbortSignal
  /** How long to wait for one of the connection's `concurrent_tasks`. Default: its pool's, or 10 minutes. */
  timeoutMs?: number
  /** How long to wait for a file that another process holds; 0 tries once. Default 60 s. */
  lockTimeoutMs?: number
  /** Asked in the caller's context before each wait for a process that holds the file; false gives up at once: DATABASE_LOCKED. */
  mayWaitFor?: (holder: LockHolder) => Promise<boolean>
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
  /** Replaced, broken or closing ones that somebody still holds; newcomers are sent to their successors. */
  ending: DatabaseSnapshot[]
  /** Every key that was ever asked for, also while nothing of it is open. */
  keys: KeySnapshot[]
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
   * @throws MillraceError CONNECTION_CONFLICT, DATABASE_LOCKED, LEASE_TIMEOUT, DATABASE; DatabaseUnavailable at once while it
   * is known to be out of reach; the signal's reason.
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
  /** When a database counts as out of reach. */
  breaker?: BreakerOptions
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
  const globals = globalThis as { [REGISTRY]?: ConnectionRegistry }
  globals[REGISTRY] ??= createConnectionRegistry()
  return globals[REGISTRY]
}

/**
 * For tests: two registries in one process must not lease the same file.
 * @throws MillraceError DATABASE in a worker thread.
 */
export function createConnectionRegistry(options: RegistryOptions = {}): ConnectionRegistry {
  assertMainThread()
  return outsideContext(() => new Registry(options))
}

class Registry implements ConnectionRegistry {
  readonly #kinds: Readonly<Record<ConnectionType, Database>>
  readonly #idleMs: number
  readonly #graceMs: number
  readonly #owners = new Set<{ name: string }>()
  readonly #databases = new Map<string, SharedDatabase>()
  /** Kept while instances come and go: a token that is still good is not fetched again. */
  readonly #sources = createKeptSources()
  readonly #records: KeyRecords
  /** Where a configuration led to, for as long as that is open: normalizing it asks the file system. */
  readonly #known = new WeakMap<ConnectionConfig, SharedDatabase>()
  /** Those that nobody enters any more and that may still be open. */
  readonly #ending = new Set<SharedDatabase>()
  /** Their ends, where a successor waits for them, by identity. */
  readonly #endings = new Map<string, Promise<void>>()
  readonly #observers = new Set<(event: ConnectionEvent) => void>()
  #shuttingDown: Promise<void> | null = null
  #opens = 0

  constructor({ databases = {}, idleMs = IDLE_MS, graceMs = GRACE_MS, breaker = {} }: RegistryOptions) {
    this.#records = createKeyRecords(breaker)
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
    const { holder, catalog, signal, lockTimeoutMs = LOCK_TIMEOUT_MS, mayWaitFor, onWaiting } = options
    const timeoutMs = options.timeoutMs ?? config.pool?.leaseTimeoutMs ?? SLOT_TIMEOUT_MS
    const auth = { signal, heartbeat: onWaiting, ...options.auth }
    const startedMs = performance.now()
    const sinceMs = Date.now()
    signal?.throwIfAborted()
    for (;;) {
      // What opened now would be closed under its holder.
      while (this.#shuttingDown !== null) await abortable(this.#shuttingDown, signal)
      const database = await this.#generation(this.#databaseFor(config, auth.values), auth)
      if (database === null) continue
      const request = { holder, catalog, signal, timeoutMs, lockTimeoutMs, mayWaitFor, onWaiting, auth }
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
      ending: [...this.#ending].map((database) => database.snapshot()),
      keys: this.#records.all().map((record) => record.snapshot()),
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
      const open = [...this.#databases.values(), ...this.#ending]
      const ends = open.map((database) => database.shutDown(this.#graceMs))
      await Promise.all([...ends, ...this.#endings.values()])
    } finally {
      this.#shuttingDown = null
    }
  }

  /** The one with the token that is good now; null to ask again, when it ended meanwhile. Its source is asked in the caller's context. */
  async #generation(database: SharedDatabase, auth: AuthContext): Promise<SharedDatabase | null> {
    if (database.source === null) return database
    const token = await database.source.get(auth)
    if (database.ended !== null || this.#shuttingDown !== null) return null
    if (database.token === null || database.token.value === token.value) {
      // The same one may have been obtained anew.
      database.token = token
      return database
    }
    if (this.#databases.get(database.identity) !== database) return null
    // The old one's holders finish.
    void database.drain()
    this.#leaveBehind(database)
    const next = this.#add(database, { config: database.config, source: database.source })
    next.token = token
    return next
  }

  /** @throws DatabaseUnavailable, before anything is made or asked for that would be of no use. */
  #databaseFor(config: ConnectionConfig, values: AuthContext['values']): SharedDatabase {
    const known = this.#known.get(config)
    if (known?.ended === null && !known.isAged && known.tenant === tenantOf(config, values)) {
      known.checkReach()
      return known
    }
    const normalized = normalizeFor(config, values)
    this.#records.find(normalized.key)?.breaker.check()
    const database = this.#sharedBy(normalized, config) ?? this.#addAlone(normalized, config)
    // Of two projects, the secrets that they share may come to differ.
    if (database.config === config || database.config.root === config.root) this.#known.set(config, database)
    return database
  }

  /** Null when there is none, or it makes way for another one. */
  #sharedBy({ key, identity }: TenantConnection, config: ConnectionConfig): SharedDatabase | null {
    const existing = this.#databases.get(identity)
    if (existing === undefined) return null
    if (existing.ended === null) {
      const isSame = existing.config === config || (existing.key === key && haveSameLiterals(existing.config, config))
      if (isSame && !existing.isAged) return existing
      if (!isSame && !existing.isIdle) throw connectionConflict(existing.description, existing.config, config)
      // Its holders finish with the old one; where nobody uses it, it is replaced at once.
      void (isSame ? existing.drain() : existing.retire())
    }
    this.#leaveBehind(existing)
    return null
  }

  #addAlone(normalized: TenantConnection, config: ConnectionConfig): SharedDatabase {
    this.#makeWay(normalized, config)
    const credential = this.#kinds[config.type].credential(config)
    const source = credential === null ? null : this.#sources.of(config, credential, normalized.tenant)
    return this.#add(normalized, { config, source })
  }

  #add(
    { key, identity, tenant }: Pick<TenantConnection, 'key' | 'identity' | 'tenant'>,
    { config, source }: { config: ConnectionConfig; source: TokenSource | null },
  ): SharedDatabase {
    const kind = this.#kinds[config.type]
    const before = this.#endings.get(identity)
    const database: SharedDatabase = new SharedDatabase({
      key,
      identity,
      tenant,
      config,
      kind,
      source,
      records: this.#records,
      idleMs: this.#idleMs,
      predecessor: before === undefined ? null : { ended: before, holders: () => this.#holdersOf(identity) },
      onOpened: (tookMs) => {
        this.#opens += 1
        this.#tell('opened', database, tookMs)
      },
      onEnding: () => {
        this.#leaveBehind(database)
        if (this.#databases.get(identity) === database) this.#databases.delete(identity)
      },
    })
    this.#databases.set(identity, database)
    return database
  }

  /** Of the instances that end. */
  #holdersOf(identity: string): Holder[] {
    return [...this.#ending].filter((one) => one.identity === identity).flatMap((one) => one.holders())
  }

  /**
   * A file is open once in a process: whoever else has one of these files is closed before.
   * @throws MillraceError CONNECTION_CONFLICT while that one is in use.
   */
  #makeWay({ key, identity, files }: TenantConnection, config: ConnectionConfig): void {
    if (files.length === 0) return
    for (const other of [...this.#databases.values(), ...this.#ending]) {
      if (other.identity === identity) continue
      const theirs = databaseFiles(other.config)
      const shared = files.find((file) => theirs.includes(file))
      if (shared === undefined) continue
      if (other.ended === null && !other.isIdle) {
        if (other.key === key) throw tenantConflict(shared)
        throw fileConflict(shared, other.description, this.#kinds[config.type].describe(config))
      }
      this.#remember(identity, other.ended ?? other.retire())
    }
  }

  /** A file opens again when its last instance is closed; what is opened with a token alone may be open twice. */
  #leaveBehind(database: SharedDatabase): void {
    const { ended, identity } = database
    if (ended === null || this.#ending.has(database)) return
    this.#ending.add(database)
    void ended.finally(() => this.#ending.delete(database))
    if (database.source === null || databaseFiles(database.config).length > 0) this.#remember(identity, ended)
  }

  #remember(identity: string, ending: Promise<void>): void {
    const before = this.#endings.get(identity)
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
