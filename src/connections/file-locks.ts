/** Who else has a database file open: another process, or this one behind the registry's back. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { MillraceError } from '../errors.ts'

export interface LockHolder {
  /** Null when the database does not say. */
  pid: number | null
  /** `process 4711 (node worker.ts)`, for messages. */
  description: string
}

/** The process that holds the file's lock, when `error` says that one does. */
export function lockHolderOf(error: unknown): LockHolder | null {
  const text = error instanceof Error ? error.message : String(error)
  if (!text.includes('Could not set lock on file')) return null
  const found = /\(PID (\d+)\)/.exec(text)
  const pid = found === null ? null : Number(found[1])
  if (pid === null || pid === 0) return { pid: null, description: 'another process' }
  const command = commandOf(pid)
  return { pid, description: `process ${pid}${command === null ? '' : ` (${command})`}` }
}

export function databaseLocked(path: string, holder: LockHolder, cause: unknown): MillraceError {
  return new MillraceError('DATABASE_LOCKED', `${path} is held by ${holder.description}`, {
    hint:
      holder.pid === null
        ? 'End the process that has the file open, or wait longer with --lock-timeout.'
        : `End process ${holder.pid}, let it finish, or wait longer with --lock-timeout.`,
    cause,
  })
}

/**
 * Opening one file twice in one process silently loses committed rows. Linux tells which files are open; elsewhere this
 * cannot be checked. Compared by device and inode, so hard links are found too.
 * @throws MillraceError DATABASE when this process has the file open.
 */
export function assertNotOpenInProcess(path: string): void {
  const file = statOf(path)
  if (file === null) return
  for (const descriptor of openDescriptors()) {
    const open = statOf(`/proc/self/fd/${descriptor}`)
    if (open?.ino !== file.ino || open.dev !== file.dev) continue
    throw new MillraceError('DATABASE', `${path} is open already in this process, outside the connection registry`, {
      hint: 'Two instances of one file in one process lose committed rows: lease it from the registry everywhere, or close the other instance first.',
    })
  }
}

/** Longest command line shown. */
const COMMAND_LENGTH = 120

function commandOf(pid: number): string | null {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean).join(' ')
    // A secret may have been given on that command line.
    const shown = words.replaceAll(/(\S*(?:token|secret|password)\S*?[= ])\S+/gi, '$1…')
    return shown === '' ? null : shown.slice(0, COMMAND_LENGTH)
  } catch {
    return null
  }
}

function openDescriptors(): string[] {
  try {
    return readdirSync('/proc/self/fd')
  } catch {
    return []
  }
}

function statOf(path: string): { dev: number; ino: number } | null {
  try {
    return statSync(path)
  } catch {
    return null
  }
}
