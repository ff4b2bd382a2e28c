/** A project's state out of all databases of a gateway, and into them. */
import type { CatalogLeases } from '../activities/catalog-leases.ts'
import { endBegunPromotions } from '../activities/promote.ts'
import type { Lease } from '../connections/lease.ts'
import { MillraceError } from '../errors.ts'
import { assertStateReadable, ensureState, readStateVersion } from '../state/schema.ts'
import { exportState, importState, type ImportedState, type StateTables } from '../state/transfer.ts'
import type { StateFile } from './state-file.ts'

export interface CatalogStates {
  tables: StateTables
  /** Of attached catalogs that have a state of the project, by name. */
  catalogs: Record<string, StateTables>
}

/**
 * @param attached names of the catalogs that models may be in.
 * @returns null when the main database has no state of the project. @throws MillraceError STATE_NEWER
 */
export async function exportStates(
  leases: CatalogLeases,
  project: string,
  attached: readonly string[],
): Promise<CatalogStates | null> {
  if (attached.length > 0) await endBegunPromotions(leases, project)
  const tables = await exportOf(await leases.in(null), project)
  if (tables === null) return null
  const catalogs: Record<string, StateTables> = {}
  for (const name of attached) {
    const own = await exportOf(await leases.in(name), project)
    if (own !== null) catalogs[name] = own
  }
  return { tables, catalogs }
}

/**
 * One transaction in each database, the main one's last: without its state the others' are of no effect.
 * @param attached as of {@link exportStates}.
 * @throws MillraceError USAGE when a catalog of the file is not there, and as `importState`.
 */
export async function importStates(
  leases: CatalogLeases,
  { project, tables, catalogs = {} }: StateFile,
  attached: readonly string[],
): Promise<ImportedState> {
  const missing = Object.keys(catalogs).filter((name) => !attached.includes(name))
  if (missing.length > 0) {
    throw new MillraceError(
      'USAGE',
      `expected the catalogs ${missing.join(', ')}, which the exported state speaks of`,
      {
        hint: 'Attach them under catalogs of the connection, by these names; nothing was changed.',
      },
    )
  }
  const done: ImportedState[] = []
  for (const [name, own] of Object.entries(catalogs)) {
    const imported = await importInto(await leases.in(name), project, own)
    done.push({ ...imported, missingTables: imported.missingTables.map((table) => `${name}.${table}`) })
  }
  done.push(await importInto(await leases.in(null), project, tables))
  return {
    imported: addUp(done.map(({ imported }) => imported)),
    missingTables: done.flatMap(({ missingTables }) => missingTables),
    // Those of attached catalogs are in the main database's record, too.
    missingViews: done.at(-1)?.missingViews ?? [],
  }
}

async function exportOf(lease: Lease, project: string): Promise<StateTables | null> {
  const version = await readStateVersion(lease)
  if (version === 0) return null
  assertStateReadable(version)
  await ensureState(lease)
  const tables = await exportState(lease, project)
  return Object.values(tables).every((rows) => rows.length === 0) ? null : tables
}

async function importInto(lease: Lease, project: string, tables: StateTables): Promise<ImportedState> {
  assertStateReadable(await readStateVersion(lease))
  await ensureState(lease)
  return importState(lease, project, tables)
}

function addUp(counts: readonly Record<string, number>[]): Record<string, number> {
  const sum: Record<string, number> = {}
  for (const [table, rows] of counts.flatMap((one) => Object.entries(one))) sum[table] = (sum[table] ?? 0) + rows
  return sum
}
