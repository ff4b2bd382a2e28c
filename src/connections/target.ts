/** Which catalog of an open database a lease writes to. */
import { MillraceError, nearest } from '../errors.ts'
import type { OpenedDatabase, Target } from './databases/database.ts'

/**
 * @param catalog in any case; undefined for the connection's own default.
 * @throws MillraceError CONFIG for a name that is not there, with those that are, and for a catalog that is attached for reading.
 */
export function targetOf(opened: OpenedDatabase, catalog: string | undefined): Target {
  const name = catalog?.toLowerCase()
  if (name === undefined || name === opened.catalog.toLowerCase()) return opened
  const found = opened.catalogs.get(name)
  if (found === undefined) throw unknownCatalog(name, [opened.catalog, ...opened.catalogs.keys()])
  if ('reason' in found) {
    throw new MillraceError('CONFIG', `connection.catalogs.${name} ${found.reason}; nothing can be written to it`, {
      hint: found.hint,
    })
  }
  return found
}

function unknownCatalog(name: string, known: readonly string[]): MillraceError {
  const near = nearest(name, known)
  return new MillraceError(
    'CONFIG',
    `the connection has no catalog '${name}'; it has ${known.map((one) => `'${one}'`).join(', ')}`,
    { hint: near === null ? 'Attach it under catalogs of the connection.' : `Did you mean '${near}'?` },
  )
}
