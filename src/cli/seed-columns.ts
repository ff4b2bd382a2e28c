/** The columns of a seed that declares none, found without the project's database. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseConnection } from '../connections/config.ts'
import { connectionRegistry } from '../connections/registry.ts'
import { seedColumnsQuery, type SeedColumn } from '../sql/seed.ts'
import type { CsvSettings } from '../sql/seed-settings.ts'

/** Reads the whole file, as a build does: types are decided over all rows. @param path absolute */
export async function findSeedColumns(path: string, settings: CsvSettings | undefined): Promise<SeedColumn[]> {
  const registry = connectionRegistry()
  const owner = registry.attach('seed columns')
  try {
    // Not in the project's folder: a verb that only reads leaves nothing there.
    const root = join(tmpdir(), 'millrace')
    const config = parseConnection({ type: 'duckdb', database: ':memory:' }, { root, env: {} })
    await using lease = await registry.lease(config, { holder: 'seed columns' })
    return await lease.rows<SeedColumn>(seedColumnsQuery(path, settings))
  } finally {
    await owner.detach()
  }
}
