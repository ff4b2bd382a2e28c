/** A database in memory for a verb's own questions to DuckDB. The project's is not touched. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseConnection } from '../connections/config.ts'
import type { Lease } from '../connections/lease.ts'
import { connectionRegistry } from '../connections/registry.ts'

/** Runs `work` on it; it is closed when `work` returns. */
export async function withScratchDatabase<T>(work: (lease: Lease) => Promise<T>): Promise<T> {
  const registry = connectionRegistry()
  const owner = registry.attach('scratch database')
  try {
    // Not in the project's folder: a verb that only reads leaves nothing there.
    const root = join(tmpdir(), 'millrace')
    const config = parseConnection({ type: 'duckdb', database: ':memory:' }, { root, env: {} })
    await using lease = await registry.lease(config, { holder: 'scratch database' })
    return await work(lease)
  } finally {
    await owner.detach()
  }
}
