/** The databases of one connection, one at a time: work that goes from one to the next never holds two leases. */
import type { Lease } from '../connections/lease.ts'
import type { LeaseOptions } from '../connections/registry.ts'
import { enterLakes } from './step/lake-lanes.ts'
import type { WorkerProject } from './worker-projects.ts'

export interface CatalogLeases extends AsyncDisposable {
  /**
   * A lease of a catalog, until another one is asked for: where there is one database, it is the same one all the time. A connection
   * may give only one at a time. @param catalog null: the main database.
   */
  in(catalog: string | null): Promise<Lease>
  /** Runs a transaction of the catalog asked for last, which may read any lake, while nobody writes to those. */
  besideLakes(work: () => Promise<void>): Promise<void>
}

export function leaseCatalogs(
  worker: Pick<WorkerProject, 'lease' | 'connection'>,
  options: Omit<LeaseOptions, 'catalog'>,
): CatalogLeases {
  let current: { catalog: string | null; lease: Lease } | null = null

  async function release(): Promise<void> {
    const held = current
    current = null
    await held?.lease.release()
  }

  return {
    async in(catalog) {
      if (current?.catalog === catalog) return current.lease
      await release()
      const lease = await worker.lease({ ...options, ...(catalog === null ? {} : { catalog }) })
      current = { catalog, lease }
      return lease
    },
    async besideLakes(work) {
      const { signal } = options
      const own = current?.catalog ?? null
      const leave = await enterLakes(worker.connection, {
        reads: null,
        own,
        ...(signal === undefined ? {} : { signal }),
      })
      try {
        await work()
      } finally {
        leave()
      }
    },
    [Symbol.asyncDispose]: release,
  }
}
