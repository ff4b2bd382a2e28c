/** A lock between processes: a file, created exclusively, that names its holder and that the holder keeps fresh. */
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

export interface ProcessLockOptions {
  /** Called about every five seconds while another process holds the lock; `holder` is null when it cannot be read. */
  onWait?: (holder: number | null, waitedMs: number) => void
  /** Ends the waiting with the signal's reason; the work itself has to look at the signal on its own. */
  signal?: AbortSignal | undefined
}

/**
 * Runs `work` while holding the lock `file`, waiting for whoever holds it. A holder that is dead (its process is gone,
 * or nobody has freshened the file for 15 s, which covers process ids used anew and other machines) loses the lock.
 */
export async function withProcessLock<T>(
  file: string,
  options: ProcessLockOptions,
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(dirname(file), { recursive: true })
  await acquire(file, options)
  const freshener = setInterval(() => freshen(file), FRESHEN_MS)
  freshener.unref()
  try {
    return await work()
  } finally {
    clearInterval(freshener)
    if (readHolder(file)?.pid === process.pid) removeQuietly(file)
  }
}

/** Whether a process of this machine with that id exists (a process that ended but was not reaped still does). */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const FRESHEN_MS = 1_000
const STALE_MS = 15_000
const POLL_MS = 100
const REPORT_MS = 5_000

interface Holder {
  pid: number
  host: string
}

async function acquire(file: string, options: ProcessLockOptions): Promise<void> {
  const start = performance.now()
  let reported = start - REPORT_MS
  let seen = { modified: -1, at: start }
  while (!tryCreate(file)) {
    options.signal?.throwIfAborted()
    const now = performance.now()
    const modified = modifiedAt(file)
    // Staleness is measured on our own clock, from the first time we saw this modification time: clocks of two
    // machines differ, and after a laptop's sleep the holder gets its chance to freshen the file again.
    if (modified !== seen.modified) seen = { modified, at: now }
    if (isHolderGone(file) || now - seen.at > STALE_MS) takeAway(file, modified)
    else if (now - reported >= REPORT_MS) {
      reported = now
      options.onWait?.(readHolder(file)?.pid ?? null, now - start)
    }
    await delay(POLL_MS, undefined, options.signal === undefined ? {} : { signal: options.signal })
  }
}

function tryCreate(file: string): boolean {
  let descriptor: number
  try {
    descriptor = openSync(file, 'wx')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
  writeSync(descriptor, JSON.stringify({ pid: process.pid, host: hostname() } satisfies Holder))
  closeSync(descriptor)
  return true
}

/**
 * Removes a dead holder's file. Two waiters may come to this at once, and the slower one must not remove the lock that
 * the faster one has created since: only one waiter at a time looks and removes, without giving up the thread between.
 */
function takeAway(file: string, modified: number): void {
  const guard = `${file}.takeover`
  try {
    mkdirSync(guard)
  } catch {
    // A guard is held for microseconds; an old one is from a process killed in between.
    if (Date.now() - modifiedAt(guard) > STALE_MS) removeGuard(guard)
    return
  }
  try {
    if (modifiedAt(file) === modified) removeQuietly(file)
  } finally {
    removeGuard(guard)
  }
}

function isHolderGone(file: string): boolean {
  const holder = readHolder(file)
  return holder !== null && holder.host === hostname() && !isProcessAlive(holder.pid)
}

/** Null while the holder has created the file but not yet written it, and after it has gone. */
function readHolder(file: string): Holder | null {
  try {
    const holder = JSON.parse(readFileSync(file, 'utf8')) as Partial<Holder> | null
    return typeof holder?.pid === 'number' && typeof holder.host === 'string'
      ? { pid: holder.pid, host: holder.host }
      : null
  } catch {
    return null
  }
}

function freshen(file: string): void {
  // Who was robbed while suspended must not keep the new holder's file fresh.
  if (readHolder(file)?.pid !== process.pid) return
  const now = new Date()
  try {
    utimesSync(file, now, now)
  } catch {
    // The folder is gone: nobody can wait for this lock any more.
  }
}

function modifiedAt(path: string): number {
  try {
    return statSync(path).mtimeMs
  } catch {
    return 0
  }
}

function removeQuietly(file: string): void {
  try {
    unlinkSync(file)
  } catch {
    // Already gone.
  }
}

function removeGuard(guard: string): void {
  try {
    rmdirSync(guard)
  } catch {
    // Already gone.
  }
}
