import { closeSync, fstatSync, openSync, readFileSync, statSync, type Stats } from 'node:fs'
import { MillraceError } from '../../../errors.ts'
import { assertNotOpenInProcess } from '../../file-locks.ts'
import { createToken } from '../token.ts'
import type { TokenFetcher } from '../token-fetcher.ts'

/** Smaller than the smallest DuckDB file (three headers of 4096 bytes), larger than tokens are. */
const MAX_BYTES = 12_000
/** A file written this shortly ago may be written again within the same tick of its clock. */
const SETTLING_MS = 100

/** Read again when it changes: in place, or replaced, or a link turned to another file. */
export function createFileFetcher(path: string): TokenFetcher {
  let seen: string | null = null
  return {
    fetch: async () => {
      const { text, stats } = readSmallFile(path)
      const value = text.trim()
      if (value === '') throw new Error(`${path} is empty`)
      const nowMs = Date.now()
      seen = Math.abs(nowMs - stats.mtimeMs) < SETTLING_MS ? null : signature(stats)
      return createToken(value, nowMs)
    },
    isCurrent: () => seen !== null && seen === signatureOf(path),
  }
}

/** Synchronous: an asynchronous read would wait for a thread that queries occupy, and they may wait for this token. */
function readSmallFile(path: string): { text: string; stats: Stats } {
  assertReadable(path)
  let descriptor: number | null = null
  try {
    descriptor = openSync(path, 'r')
    // Of what was opened: the path may name another file by now.
    const stats = fstatSync(descriptor)
    return { text: readFileSync(descriptor, 'utf8'), stats }
  } catch (error) {
    throw unreadable(path, error)
  } finally {
    if (descriptor !== null) closeSync(descriptor)
  }
}

/** Opening and closing a database's file would drop the lock this process has on it. */
function assertReadable(path: string): void {
  const stats = statOf(path)
  if (!stats.isFile() || stats.size > MAX_BYTES) {
    const what = stats.isFile() ? `a file of ${stats.size} bytes` : 'no regular file'
    throw new MillraceError(
      'CONFIG',
      `expected a file of at most ${MAX_BYTES} bytes that holds a token, got ${what}: ${path}`,
    )
  }
  try {
    assertNotOpenInProcess(path)
  } catch {
    throw new MillraceError('CONFIG', `expected a file that holds a token, got one that this process has open: ${path}`)
  }
}

function statOf(path: string): Stats {
  try {
    return statSync(path)
  } catch (error) {
    throw unreadable(path, error)
  }
}

function signatureOf(path: string): string | null {
  try {
    return signature(statSync(path))
  } catch {
    return null
  }
}

function signature({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return [dev, ino, size, mtimeMs, ctimeMs].join(' ')
}

function unreadable(path: string, error: unknown): Error {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  return new Error(`cannot read ${path}: ${code}`)
}
