/**
 * One database of the process: its instance, those who hold or wait for it, and its end.
 *
 * | state    | means                                        | leaves when                                                     |
 * | serving  | opened at the first lease, idle in between   | idle for a while, broken, replaced or shut down → ended         |
 * | ended    | nobody enters; what is held ends             | the last connection and the instance are closed (`ended`)       |
 *
 * A successor opens only after `ended`: two instances of one file in one process lose committed rows.
 */
import { basename } from 'node:path'
import type { Channel } from './channel.ts'
import type { Admission } from './limits/admission.ts'
import type { ConnectionConfig } from './config.ts'
import { ConnectionLost } from './connection-lost.ts'
import type { TokenSource } from './credentials/token-source.ts'
import type { Token } from './credentials/token.ts'
import type { DatabaseSnapshot } from './database-snapshot.ts'
import type { Database, OpenedDatabase, Target } from './databases/database.ts'
import type { FairQueue, Holder, Slot } from './limits/fair-queue.ts'
import { createIdleTimer, type IdleTimer } from './limits/idle-timer.ts'
import type { KeyRecord, KeyRecords } from './key-records.ts'
import { createLane } from './limits/lane.ts'
import { createLease, type Lease } from './lease.ts'
import { createLeaseQueue } from './limits/lease-queue.ts'
import { authUntil, type LeaseRequest } from './lease-request.ts'
import { createOccupancy } from './limits/occupancy.ts'
import { createOpening, type Opening } from './opening.ts'
import { outsideContext } from './outside-context.ts'
import { outlive, type Predecessor } from './limits/predecessor.ts'
import { serve, type Served } from './served.ts'
import { createSession, type Session } from './session.ts'
import { targetOf } from './target.ts'
import type { TenantConnection } from './tenant.ts'

export interface SharedDatabaseOptions extends Pick<TenantConnection, 'key' | 'identity' | 'tenant'> {
  config: ConnectionConfig
  kind: Database
  /** Of the credential that instances are opened with; null when they need none. */
  source: TokenSource | null
  records: KeyRecords
  /** When an idle instance closes, unless its pool says so. */
  idleMs: number
  /** The same database's last instances, as long as they are not closed. */
  predecessor: Predecessor | null
  onOpened: (tookMs: number) => void
  /** Nobody may be sent here any more. */
  onEnding: () => void
}

/** Given to those who wait on a database that ends: they are sent to its successor. */
const SUCCEEDED = new Error('the database has a successor')

/** How long a session may take to end once it is interrupted. */
const INTERRUPT_LIMIT_MS = 5000

export class SharedDatabase {
  readonly key: string
  readonly identity: string
  readonly tenant: string
  readonly config: ConnectionConfig
  readonly description: string
  readonly source: TokenSource | null
  /** What it is opened with, or was; null before that is known, and when it needs none. */
  token: Token | null = null
  /** Set when nobody enters any more; resolves when everything is closed. */
  ended: Promise<void> | null = null
  readonly #options: SharedDatabaseOptions
  readonly #record: KeyRecord
  readonly #opening: Opening<Served>
  readonly #queue: FairQueue
  /** Where its pool lets one transaction write at a time. */
  readonly #lane: Admission | null
  readonly #sessions = new Set<Session>()
  /** Aborted when holders are interrupted: those who still wait for credentials are, too. */
  readonly #interrupted = new AbortController()
  /** Leases whose connections are being made. */
  readonly #connecting = new Set<Promise<Lease>>()
  /** Those who wait for it to open. */
  readonly #openingFor = new Set<{ holder: string; sinceMs: number }>()
  /** Open instances of single leases. */
  readonly #own = new Set<OpenedDatabase>()
  /** Leases and those who wait for one. */
  readonly #users = createOccupancy()
  #predecessor: Predecessor | null
  readonly #idle: IdleTimer

  constructor(options: SharedDatabaseOptions) {
    this.#options = options
    this.key = options.key
    this.identity = options.identity
    this.tenant = options.tenant
    this.config = options.config
    this.source = options.source
    this.description = options.kind.describe(options.config)
    this.#opening = createOpening(this.description, () => this.#open())
    this.#predecessor = options.predecessor
    const { key, identity, description, label } = this
    this.#record = options.records.of({ key, identity, description, label, type: options.config.type })
    this.#queue = createLeaseQueue(options.config, this.description)
    this.#lane = options.config.pool?.writers === 'one' ? createLane() : null
    this.#idle = createIdleTimer(options.config.pool?.idleMs ?? options.idleMs, () => void this.#closeIdle())
  }

  get label(): string {
    return basename(this.description)
  }

  get isIdle(): boolean {
    return this.#users.isEmpty
  }

  /** Older than its pool allows; not where its data would go with it. */
  get isAged(): boolean {
    const maxAgeMs = this.config.pool?.maxAgeMs ?? null
    const served = this.#opening.current
    if (maxAgeMs === null || served === null || !served.opened.capabilities.persistent) return false
    return performance.now() - served.openedAtMs >= maxAgeMs
  }

  /** @throws DatabaseUnavailable */
  checkReach(): void {
    this.#record.breaker.check()
  }

  /** Those who have a lease. */
  holders(): Holder[] {
    return this.#queue.holders()
  }

  /** @returns null when the database ended meanwhile: ask its successor. */
  async lease(config: ConnectionConfig, request: LeaseRequest): Promise<Lease | null> {
    this.#users.enter()
    this.#idle.stop()
    let slot: Slot | null = null
    try {
      // Opened first: those who wait for another process's lock hold no slot meanwhile.
      const served = this.#opening.current ?? (await this.#openFor(request))
      if (this.ended !== null) throw SUCCEEDED
      slot = await this.#queue.acquire(request)
      const connecting = this.#connect(served, { config, request, slot })
      this.#connecting.add(connecting)
      return await connecting.finally(() => this.#connecting.delete(connecting))
    } catch (error) {
      slot?.release()
      this.#leave()
      if (error === SUCCEEDED) return null
      throw error
    }
  }

  /** Sends those who wait to its successor, lets holders finish however long that takes, and closes. */
  drain(): Promise<void> {
    return this.#end({ graceMs: Infinity, waiters: SUCCEEDED, checkpoint: true })
  }

  /** Sends those who wait away, lets holders finish for `graceMs`, then interrupts them; checkpoints and closes. */
  shutDown(graceMs: number): Promise<void> {
    // It may be draining.
    this.#users.hurry(graceMs)
    return this.#end({ graceMs, waiters: new ConnectionLost('the connection registry shuts down'), checkpoint: true })
  }

  /** For an idle database that is to be opened anew with another configuration. */
  retire(): Promise<void> {
    return this.#end({ graceMs: 0, waiters: SUCCEEDED, checkpoint: true })
  }

  snapshot(): DatabaseSnapshot {
    const served = this.#opening.current
    const isOpening = this.#opening.running || this.#openingFor.size > 0
    const nowMs = performance.now()
    return {
      ...this.#record.snapshot(),
      state:
        this.ended !== null
          ? 'ending'
          : served !== null || this.#own.size > 0
            ? 'open'
            : isOpening
              ? 'opening'
              : 'closed',
      ageMs: served === null ? null : Math.round(nowMs - served.openedAtMs),
      leases: this.#queue.holders(),
      waiting: this.#queue.waiting(),
      opening: [...this.#openingFor].map(({ holder, sinceMs }) => ({ holder, ageMs: Math.round(nowMs - sinceMs) })),
      credentials: [...(this.source === null ? [] : [this.source.snapshot()]), ...(served?.opened.credentials() ?? [])],
    }
  }

  /** @returns null where every lease opens an instance of its own. */
  async #openFor(request: LeaseRequest): Promise<Served | null> {
    const asker = { holder: request.holder, sinceMs: performance.now() }
    this.#openingFor.add(asker)
    try {
      if (this.#predecessor !== null) await outlive(this.#predecessor, this.description, request)
      this.#predecessor = null
      return this.config.pool?.strategy === 'instance' ? null : await this.#opening.get(request)
    } finally {
      this.#openingFor.delete(asker)
    }
  }

  async #open(): Promise<Served> {
    const attempt = this.#record.breaker.begin()
    try {
      const served = await this.#openInstance()
      // Whether it can be reached shows at the first connection, where opening asks no server.
      attempt.ended()
      return served
    } catch (error) {
      attempt.failed(error)
      this.#record.failed(error)
      throw error
    }
  }

  async #openInstance(): Promise<Served> {
    const startedMs = performance.now()
    const open = (): Promise<OpenedDatabase> => this.#options.kind.open(this.config, this.token, this.tenant)
    const served = await serve(open, (cause) => this.#break(cause))
    this.#record.opened()
    this.#options.onOpened(served.openedAtMs - startedMs)
    return served
  }

  async #connect(
    shared: Served | null,
    { config, request, slot }: { config: ConnectionConfig; request: LeaseRequest; slot: Slot },
  ): Promise<Lease> {
    // Here, not at the grant: the instance may have ended in between.
    if (this.ended !== null) throw SUCCEEDED
    const { signal } = request
    const startedMs = Date.now()
    const attempt = this.#record.breaker.begin()
    let served = shared
    try {
      served ??= await this.#openOwn()
      const target = targetOf(served.opened, request.catalog)
      const auth = authUntil(request, this.#interrupted.signal)
      const { channel, credentials } = await served.opened.connect(config, auth, target)
      attempt.succeeded()
      try {
        signal?.throwIfAborted()
        if (this.ended !== null) throw SUCCEEDED
      } catch (error) {
        await channel.close()
        throw error
      }
      return this.#leaseOn(served, { target, channel, signal, slot }, () => {
        return (credentials?.refused() ?? false) || this.refuseToken(startedMs)
      })
    } catch (error) {
      if (signal?.aborted === true || this.ended !== null) attempt.ended()
      else {
        attempt.failed(error)
        this.#record.failed(error)
      }
      if (shared === null && served !== null) this.#closeOwn(served.opened)
      throw error
    }
  }

  #leaseOn({ opened, gate }: Served, { target, channel, signal, slot }: Leasing, onRefused: () => boolean): Lease {
    const isOwn = this.#own.has(opened)
    const session = createSession({
      channel,
      signal,
      statementTimeoutMs: this.config.pool?.statementTimeoutMs ?? null,
      // What is wrong with an instance of one's own is one's own matter: it ends with the lease.
      onBroken: (cause) => (isOwn ? this.#record.failed(cause) : this.#break(cause)),
      onRefused,
    })
    this.#sessions.add(session)
    return createLease({
      key: this.key,
      target,
      session,
      // The gate is that of the main file.
      gate: target === opened ? gate : null,
      lane: target.lane ?? this.#lane,
      onRelease: () => {
        this.#sessions.delete(session)
        if (isOwn) this.#closeOwn(opened)
        slot.release()
        this.#leave()
      },
    })
  }

  async #openOwn(): Promise<Served> {
    const served = await outsideContext(() => this.#openInstance())
    this.#own.add(served.opened)
    return served
  }

  /** Once: the end of the database closes those that were never released. */
  #closeOwn(opened: OpenedDatabase): void {
    if (this.#own.delete(opened)) opened.closeSync()
  }

  /** @returns whether there will be another token: not when this one was obtained after `sinceMs`, for the very work it was refused to. */
  refuseToken(sinceMs: number): boolean {
    if (this.source === null || this.token === null || this.token.obtainedAtMs >= sinceMs) return false
    this.source.refused(this.token)
    return true
  }

  #leave(): void {
    this.#users.leave()
    if (!this.#users.isEmpty || this.ended !== null) return
    // Never opened: a failed configuration must not be remembered.
    if (this.#opening.current === null) void this.#end(AT_ONCE)
    else if (this.#opening.current.opened.capabilities.persistent) this.#idle.start()
  }

  /** The log is written first, while leases may still come: closing would do it too, but block the process. */
  async #closeIdle(): Promise<void> {
    await this.#opening.current?.gate?.checkpoint()
    if (this.#users.isEmpty && this.ended === null) await this.#end(AT_ONCE)
  }

  /** Holders fail at once with a retryable error; newcomers open anew when the last connection is closed. */
  #break(cause: unknown): void {
    this.#record.failed(cause)
    const lost = new ConnectionLost(`${this.description} was closed after a fatal error in DuckDB`, cause)
    void this.#end({ ...AT_ONCE, interrupt: lost })
  }

  #end(how: Ending): Promise<void> {
    this.ended ??= outsideContext(() => this.#finish(how))
    return this.ended
  }

  async #finish({ graceMs, waiters, checkpoint, interrupt }: Ending): Promise<void> {
    this.#idle.stop()
    this.#queue.refuse(waiters)
    const opened = this.#opening.refuse(waiters)
    // What follows runs after `ended` is set, so that whoever is woken by it sees it.
    await Promise.resolve()
    this.#options.onEnding()
    if (interrupt === undefined) {
      if (!(await this.#users.emptyWithin(graceMs))) {
        this.#interrupt(new ConnectionLost('the connection registry shuts down'))
        await this.#users.emptyWithin(INTERRUPT_LIMIT_MS)
      }
    } else this.#interrupt(interrupt)
    await Promise.allSettled([opened, ...this.#connecting])
    // Also those that were never released.
    await Promise.all([...this.#sessions].map((session) => session.close()))
    for (const opened of this.#own) this.#closeOwn(opened)
    await this.#opening.current?.close({ checkpoint })
  }

  #interrupt(reason: ConnectionLost): void {
    this.#interrupted.abort(reason)
    for (const session of this.#sessions) session.abort(reason)
  }
}

/** Of a database that nobody uses, or can use. */
const AT_ONCE: Ending = { graceMs: 0, waiters: SUCCEEDED, checkpoint: false }

interface Ending {
  graceMs: number
  /** What those who wait are given. */
  waiters: unknown
  checkpoint: boolean
  /** Set: holders are interrupted at once with this. */
  interrupt?: ConnectionLost
}

interface Leasing {
  target: Target
  channel: Channel
  signal: AbortSignal | undefined
  slot: Slot
}
