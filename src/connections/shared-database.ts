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
import type { CheckpointGate } from './checkpoint-gate.ts'
import { createCheckpointGate } from './checkpoint-gate.ts'
import type { ConnectionConfig, ConnectionType } from './config.ts'
import { ConnectionLost } from './connection-lost.ts'
import type { AuthContext } from './credentials/auth-context.ts'
import type { TokenSource, TokenSourceSnapshot } from './credentials/token-source.ts'
import type { Token } from './credentials/token.ts'
import type { Database, OpenedDatabase } from './databases/database.ts'
import { createFairQueue, type FairQueue, type Holder, type Slot } from './fair-queue.ts'
import { createLease, type Lease } from './lease.ts'
import { createOpening, type LockWait, type Opening } from './opening.ts'
import { outsideContext } from './outside-context.ts'
import { createSession, type Session } from './session.ts'

export interface LeaseRequest extends LockWait {
  holder: string
  timeoutMs: number
  auth: AuthContext
}

export interface DatabaseSnapshot {
  key: string
  type: ConnectionType
  /** The file, or what else it is. */
  database: string
  /** A short name for metrics and lists: the file's own. */
  label: string
  state: 'closed' | 'opening' | 'open' | 'ending'
  leases: Holder[]
  waiting: Holder[]
  /** Of what it is opened with and, once it is open, of its secrets. */
  credentials: TokenSourceSnapshot[]
}

export interface SharedDatabaseOptions {
  key: string
  config: ConnectionConfig
  kind: Database
  /** Of the credential that instances are opened with; null when they need none. */
  source: TokenSource | null
  /** When an idle instance closes. */
  idleMs: number
  /** The end of the same database's last instance. */
  predecessor: Promise<void>
  onOpened: (tookMs: number) => void
  /** Nobody may be sent here any more. */
  onEnding: () => void
}

interface Served {
  opened: OpenedDatabase
  gate: CheckpointGate | null
}

/** Given to those who wait on a database that ends: they are sent to its successor. */
const SUCCEEDED = new Error('the database has a successor')

/** How long a session may take to end once it is interrupted. */
const INTERRUPT_LIMIT_MS = 5000

export class SharedDatabase {
  readonly key: string
  readonly config: ConnectionConfig
  readonly description: string
  /** What it is opened with, or was; null before that is known, and when it needs none. */
  token: Token | null = null
  /** Set when nobody enters any more; resolves when everything is closed. */
  ended: Promise<void> | null = null
  readonly #options: SharedDatabaseOptions
  readonly #opening: Opening<Served>
  readonly #queue: FairQueue
  readonly #sessions = new Set<Session>()
  /** Aborted when holders are interrupted: those who still wait for credentials are, too. */
  readonly #interrupted = new AbortController()
  /** Leases whose connections are being made. */
  readonly #connecting = new Set<Promise<Lease>>()
  /** Leases and those who wait for one. */
  #users = 0
  #idleTimer: NodeJS.Timeout | undefined
  #emptied: (() => void) | null = null
  /** Shortens the time that holders get. */
  #hurry: ((graceMs: number) => void) | null = null

  constructor(options: SharedDatabaseOptions) {
    this.#options = options
    this.key = options.key
    this.config = options.config
    this.description = options.kind.describe(options.config)
    this.#opening = createOpening(this.description, () => this.#open())
    this.#queue = createFairQueue(options.config.concurrentTasks, this.description)
  }

  get label(): string {
    return basename(this.description)
  }

  get isIdle(): boolean {
    return this.#users === 0
  }

  /** @returns null when the database ended meanwhile: ask its successor. */
  async lease(config: ConnectionConfig, request: LeaseRequest): Promise<Lease | null> {
    this.#users += 1
    clearTimeout(this.#idleTimer)
    let slot: Slot | null = null
    try {
      // Opened first: those who wait for another process's lock hold no slot meanwhile.
      const served = await this.#opening.get(request)
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

  get source(): TokenSource | null {
    return this.#options.source
  }

  /** Sends those who wait to its successor, lets holders finish however long that takes, and closes. */
  drain(): Promise<void> {
    return this.#end({ graceMs: Infinity, waiters: SUCCEEDED, checkpoint: false })
  }

  /** Sends those who wait away, lets holders finish for `graceMs`, then interrupts them; checkpoints and closes. */
  shutDown(graceMs: number): Promise<void> {
    // It may be draining.
    this.#hurry?.(graceMs)
    return this.#end({ graceMs, waiters: new ConnectionLost('the connection registry shuts down'), checkpoint: true })
  }

  /** For an idle database that is to be opened anew with another configuration. */
  retire(): Promise<void> {
    return this.#end({ graceMs: 0, waiters: SUCCEEDED, checkpoint: true })
  }

  snapshot(): DatabaseSnapshot {
    const open = this.#opening.current !== null
    const state = this.ended !== null ? 'ending' : open ? 'open' : this.#opening.running ? 'opening' : 'closed'
    return {
      key: this.key,
      type: this.config.type,
      database: this.description,
      label: this.label,
      state,
      leases: this.#queue.holders(),
      waiting: this.#queue.waiting(),
      credentials: [
        ...(this.source === null ? [] : [this.source.snapshot()]),
        ...(this.#opening.current?.opened.credentials() ?? []),
      ],
    }
  }

  async #open(): Promise<Served> {
    await this.#options.predecessor
    const startedMs = performance.now()
    const opened = await this.#options.kind.open(this.config, this.token)
    try {
      const gate = await this.#createGate(opened)
      this.#options.onOpened(performance.now() - startedMs)
      return { opened, gate }
    } catch (error) {
      opened.closeSync()
      throw error
    }
  }

  async #createGate(opened: OpenedDatabase): Promise<CheckpointGate | null> {
    if (opened.path === null || !opened.capabilities.checkpoints) return null
    const connection = await opened.connectInstance()
    try {
      return await createCheckpointGate({ path: opened.path, connection, onBroken: (cause) => this.#break(cause) })
    } catch (error) {
      connection.disconnectSync()
      throw error
    }
  }

  async #connect(
    { opened, gate }: Served,
    { config, request, slot }: { config: ConnectionConfig; request: LeaseRequest; slot: Slot },
  ): Promise<Lease> {
    // Here, not at the grant: the instance may have ended in between.
    if (this.ended !== null) throw SUCCEEDED
    const { signal } = request
    const startedMs = Date.now()
    const { channel, credentials } = await opened.connect(config, this.#authOf(request))
    try {
      signal?.throwIfAborted()
      if (this.ended !== null) throw SUCCEEDED
    } catch (error) {
      await channel.close()
      throw error
    }
    const session = createSession({
      channel,
      signal,
      onBroken: (cause) => this.#break(cause),
      onRefused: () => (credentials?.refused() ?? false) || this.refuseToken(startedMs),
    })
    this.#sessions.add(session)
    return createLease({
      key: this.key,
      opened,
      session,
      gate,
      onRelease: () => {
        this.#sessions.delete(session)
        slot.release()
        this.#leave()
      },
    })
  }

  /** @returns whether there will be another token: not when this one was obtained after `sinceMs`, for the very work it was refused to. */
  refuseToken(sinceMs: number): boolean {
    if (this.source === null || this.token === null || this.token.obtainedAtMs >= sinceMs) return false
    this.source.refused(this.token)
    return true
  }

  /** A source may take a minute to answer; whoever closes the database does not wait for that. */
  #authOf({ auth }: LeaseRequest): AuthContext {
    const signals = [this.#interrupted.signal, ...(auth.signal === undefined ? [] : [auth.signal])]
    return { ...auth, signal: AbortSignal.any(signals) }
  }

  #leave(): void {
    this.#users -= 1
    if (this.#users > 0) return
    this.#emptied?.()
    if (this.ended !== null) return
    // Never opened: a failed configuration must not be remembered.
    if (this.#opening.current === null) void this.#end({ graceMs: 0, waiters: SUCCEEDED, checkpoint: false })
    else if (this.#opening.current.opened.capabilities.persistent) this.#startIdleTimer()
  }

  #startIdleTimer(): void {
    clearTimeout(this.#idleTimer)
    this.#idleTimer = outsideContext(() => setTimeout(() => void this.#closeIdle(), this.#options.idleMs))
    // An idle database keeps no process alive.
    this.#idleTimer.unref()
  }

  /** The log is written first, while leases may still come: closing would do it too, but block the process. */
  async #closeIdle(): Promise<void> {
    await this.#opening.current?.gate?.checkpoint()
    if (this.#users === 0 && this.ended === null) await this.#end({ graceMs: 0, waiters: SUCCEEDED, checkpoint: false })
  }

  /** Holders fail at once with a retryable error; newcomers open anew when the last connection is closed. */
  #break(cause: unknown): void {
    const lost = new ConnectionLost(`${this.description} was closed after a fatal error in DuckDB`, cause)
    void this.#end({ graceMs: 0, waiters: SUCCEEDED, checkpoint: false, interrupt: lost })
  }

  #end(how: Ending): Promise<void> {
    this.ended ??= outsideContext(() => this.#finish(how))
    return this.ended
  }

  async #finish({ graceMs, waiters, checkpoint, interrupt }: Ending): Promise<void> {
    clearTimeout(this.#idleTimer)
    this.#queue.refuse(waiters)
    const opened = this.#opening.refuse(waiters)
    // What follows runs after `ended` is set, so that whoever is woken by it sees it.
    await Promise.resolve()
    this.#options.onEnding()
    if (interrupt === undefined) {
      if (!(await this.#isEmptyWithin(graceMs))) {
        this.#interrupt(new ConnectionLost('the connection registry shuts down'))
        await this.#isEmptyWithin(INTERRUPT_LIMIT_MS)
      }
    } else this.#interrupt(interrupt)
    await Promise.allSettled([opened, ...this.#connecting])
    // Also those that were never released.
    await Promise.all([...this.#sessions].map((session) => session.close()))
    const served = this.#opening.current
    if (served === null) return
    if (checkpoint) await served.gate?.checkpoint()
    await served.gate?.close()
    served.opened.closeSync()
  }

  #interrupt(reason: ConnectionLost): void {
    this.#interrupted.abort(reason)
    for (const session of this.#sessions) session.abort(reason)
  }

  async #isEmptyWithin(limitMs: number): Promise<boolean> {
    if (this.#users === 0) return true
    let timer: NodeJS.Timeout | undefined
    const empty = new Promise<boolean>((resolve) => {
      this.#emptied = () => resolve(true)
      this.#hurry = (ms) => {
        clearTimeout(timer)
        timer = setTimeout(() => resolve(false), ms)
      }
      if (limitMs !== Infinity) this.#hurry(limitMs)
    })
    const result = await empty
    clearTimeout(timer)
    this.#emptied = null
    this.#hurry = null
    return result
  }
}

interface Ending {
  graceMs: number
  /** What those who wait are given. */
  waiters: unknown
  checkpoint: boolean
  /** Set: holders are interrupted at once with this. */
  interrupt?: ConnectionLost
}
