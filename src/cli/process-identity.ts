/** Which process started a build, so that another command can tell whether it is still there. */
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'

export interface ProcessIdentity {
  host: string
  pid: number
  /** When the process started, in the system's own units: a process id is used again. */
  started: string
}

export function ownIdentity(): ProcessIdentity {
  return { host: hostname(), pid: process.pid, started: startOf(process.pid) ?? '' }
}

/** Of a process of another machine nothing is known: it counts as alive. */
export function isAlive({ host, pid, started }: ProcessIdentity): boolean {
  if (host !== hostname()) return true
  try {
    process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
  const now = startOf(pid)
  return now === null || started === '' || now === started
}

/** Null where the system does not tell. A zombie is dead. */
function startOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? 'gone' : (fields[19] ?? null)
  } catch {
    return null
  }
}
