/**
 * Space that replaced tables leave, and the log, come back only at a CHECKPOINT, which fails while any transaction writes. Under
 * steady load there is no such moment, so the gate makes one:
 *
 * | state    | newcomers | leaves when                                                                          |
 * | open     | enter     | log and garbage pass the threshold, or somebody asks for a checkpoint → draining      |
 * | draining | wait      | the last transaction ended → CHECKPOINT; it takes too long → open                     |
 * | CHECKPOINT | wait    | done; or readers make it fail until the limit → open                                  |
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { statSync } from 'node:fs'
import type { Admission } from './admission.ts'
import { abortable } from '../abortable.ts'
import { outsideContext } from '../outside-context.ts'
import { classifySqlError } from '../sql-errors.ts'

export interface CheckpointGate extends Admission {
  /** Drains and checkpoints now. @returns false when long transactions or readers prevented it. */
  checkpoint(): Promise<boolean>
  /** Closes the gate's own connection when nothing of it runs any more. Nobody may enter again. */
  close(): Promise<void>
}

export interface CheckpointGateOptions {
  path: string
  /** The gate's own, closed with it. */
  connection: DuckDBConnection
  onBroken: (cause: unknown) => void
}

const MB = 1_000_000
const SMALLEST_THRESHOLD = 16 * MB
const LARGEST_THRESHOLD = 256 * MB
/** Newcomers wait this long at most. */
const HOLD_LIMIT_MS = 5000
/** The same, at a quiet moment soon after a failure. */
const QUIET_LIMIT_MS = 250
/** After a failure the gate stays open this many times as long as it was closed. */
const BACK_OFF = 10
const MEASURE_EVERY_MS = 20
const FIRST_PAUSE_MS = 5
const LONGEST_PAUSE_MS = 200

/** Bytes of the file in use and free, as DuckDB counts them: reused blocks do not show in the file's size. */
interface Blocks {
  used: number
  free: number
}

export async function createCheckpointGate(options: CheckpointGateOptions): Promise<CheckpointGate> {
  const gate = new Gate(options)
  await gate.rebase()
  return gate
}

class Gate implements CheckpointGate {
  readonly #path: string
  readonly #connection: DuckDBConnection
  readonly #onBroken: (cause: unknown) => void
  #active = 0
  /** What newcomers wait for; null while the gate is open. */
  #held: { reopened: Promise<void>; attempt: Promise<boolean> } | null = null
  #drained: (() => void) | null = null
  #base: Blocks & { fileSize: number } = { used: 0, free: 0, fileSize: 0 }
  #measuring: Promise<void> | null = null
  #nextMeasureMs = 0
  #backOffUntilMs = 0

  constructor({ path, connection, onBroken }: CheckpointGateOptions) {
    this.#path = path
    this.#connection = connection
    this.#onBroken = onBroken
  }

  async enter(signal?: AbortSignal): Promise<() => void> {
    while (this.#held !== null) await abortable(this.#held.reopened, signal)
    signal?.throwIfAborted()
    this.#active += 1
    return () => this.#leave()
  }

  checkpoint(): Promise<boolean> {
    return this.#close(HOLD_LIMIT_MS)
  }

  async close(): Promise<void> {
    while (this.#measuring !== null || this.#held !== null) await (this.#measuring ?? this.#held?.reopened)
    this.#connection.disconnectSync()
  }

  /** Counts from here on. */
  async rebase(): Promise<void> {
    this.#base = { ...(await this.#blocks()), fileSize: sizeOf(this.#path) }
  }

  #leave(): void {
    this.#active -= 1
    if (this.#active === 0) this.#drained?.()
    const nowMs = performance.now()
    if (this.#held !== null || this.#measuring !== null || nowMs < this.#nextMeasureMs) return
    if (nowMs < this.#backOffUntilMs && this.#active > 0) return
    this.#nextMeasureMs = nowMs + MEASURE_EVERY_MS
    // Cheap first: no more than this can have piled up.
    const grown = Math.max(0, sizeOf(this.#path) - this.#base.fileSize)
    if (this.#logSize() + grown + this.#base.free <= this.#threshold()) return
    this.#measuring = outsideContext(() => this.#measure()).finally(() => (this.#measuring = null))
  }

  async #measure(): Promise<void> {
    try {
      const { used } = await this.#blocks()
      if (this.#logSize() + Math.max(0, used - this.#base.used) <= this.#threshold()) return
      const backingOff = performance.now() < this.#backOffUntilMs
      if (backingOff && this.#active > 0) return
      void this.#close(backingOff ? QUIET_LIMIT_MS : HOLD_LIMIT_MS)
    } catch (error) {
      this.#noticeBroken(error)
    }
  }

  #close(limitMs: number): Promise<boolean> {
    if (this.#held !== null) return this.#held.attempt
    const attempt = outsideContext(() => this.#drainAndCheckpoint(limitMs))
    this.#held = { reopened: this.#reopenAfter(attempt), attempt }
    return attempt
  }

  async #reopenAfter(attempt: Promise<boolean>): Promise<void> {
    await attempt
    this.#held = null
  }

  /** Never throws: whatever happens, the gate opens again. */
  async #drainAndCheckpoint(limitMs: number): Promise<boolean> {
    const startedMs = performance.now()
    let done = false
    try {
      done = (await this.#drain(limitMs)) && (await this.#checkpointUntil(startedMs + limitMs))
      if (done) await this.rebase()
    } catch (error) {
      done = false
      this.#noticeBroken(error)
    }
    const heldMs = performance.now() - startedMs
    this.#backOffUntilMs = done ? 0 : performance.now() + heldMs * BACK_OFF
    return done
  }

  async #drain(limitMs: number): Promise<boolean> {
    if (this.#active === 0) return true
    let timer: NodeJS.Timeout | undefined
    const drained = new Promise<boolean>((resolve) => {
      this.#drained = () => resolve(true)
      timer = setTimeout(() => resolve(false), limitMs)
    })
    const result = await drained
    clearTimeout(timer)
    this.#drained = null
    return result
  }

  /** Readers come and go and make it fail; never FORCE, which would wait for them and hold up everybody. */
  async #checkpointUntil(deadlineMs: number): Promise<boolean> {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        await this.#connection.run('CHECKPOINT')
        return true
      } catch (error) {
        if (classifySqlError(error).kind !== 'conflict') throw error
        if (performance.now() + pauseMs > deadlineMs) return false
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
      }
    }
  }

  #noticeBroken(error: unknown): void {
    if (classifySqlError(error).kind === 'fatal') this.#onBroken(error)
  }

  #threshold(): number {
    return Math.max(SMALLEST_THRESHOLD, Math.min(LARGEST_THRESHOLD, this.#base.used))
  }

  #logSize(): number {
    return sizeOf(`${this.#path}.wal`)
  }

  async #blocks(): Promise<Blocks> {
    const reader = await this.#connection.runAndReadAll(
      `SELECT (block_size * used_blocks)::DOUBLE, (block_size * free_blocks)::DOUBLE
       FROM pragma_database_size() WHERE database_name = current_database()`,
    )
    return { used: Number(reader.value(0, 0)), free: Number(reader.value(1, 0)) }
  }
}

/** Only `stat`: reading the file through `fs` would drop DuckDB's lock on it. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
