/** Transactions that write to one DuckLake, one at a time: in this process, and among all processes where its catalog is in PostgreSQL. */
import type { Admission } from './admission.ts'
import { createLane } from './lane.ts'

/** Keeps the writers of other processes out. Asked for by one at a time. */
export interface RemoteLock {
  /** @returns what lets it go; resolves when others may have it. Never rejects. @throws the database's error; the signal's reason. */
  acquire(signal?: AbortSignal): Promise<() => Promise<void>>
}

/**
 * DuckLake's explicit transactions are not safe beside each other: with DuckDB 1.5 they crash the process or commit tables into
 * the wrong schema. So each lake has one lane per process, in order of arrival, whichever instances, tenants or registries
 * write to it; a catalog in a file belongs to one process; and one in PostgreSQL has a lock there.
 * @param lake its identity. @param remote null where no other process can write.
 */
export function createWriterLane(lake: string, remote: RemoteLock | null): Admission {
  const lane = laneOf(lake)
  return {
    enter: async (signal) => {
      const leave = await lane.enter(signal)
      if (remote === null) return leave
      try {
        const release = await remote.acquire(signal)
        // The next one of this process waits for the lock to be free, too.
        return () => void release().finally(leave)
      } catch (error) {
        leave()
        throw error
      }
    },
  }
}

/** Shared by every copy of this package in the process, as the registry is. */
const LANES = Symbol.for('millrace.writer-lanes')

function laneOf(lake: string): Admission {
  const globals = globalThis as { [LANES]?: Map<string, Admission> }
  const lanes = (globals[LANES] ??= new Map())
  const lane = lanes.get(lake) ?? createLane()
  lanes.set(lake, lane)
  return lane
}
