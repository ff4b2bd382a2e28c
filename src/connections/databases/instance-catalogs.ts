/** All catalogs of an open instance: its own and the attached ones, as what leases may write to. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { MillraceError } from '../../errors.ts'
import type { AttachedDatabase } from '../config/attached-database.ts'
import type { SharedConfig } from '../config/shared-config.ts'
import { lakeMetadata, toAttachment } from './attach.ts'
import { createAttachments, type Attachments } from './attachments.ts'
import { toTarget } from './catalog-target.ts'
import type { NotWritable, Target } from './database.ts'
import { createPostgresLock, type PostgresLock } from './postgres-lock.ts'

export interface InstanceCatalogs {
  readonly attachments: Attachments
  /** What leases write to that name no catalog. */
  readonly target: Target
  /** The others, by name in lower case. */
  readonly others: ReadonlyMap<string, Target | NotWritable>
  /** Resolves when nothing runs on connections of its own, which are closed then. */
  settled: () => Promise<void>
}

export interface OwnCatalog {
  /** The catalog that the instance was opened with. */
  target: Target
  /** The instance has MotherDuck's token. */
  isMotherDuck: boolean
  /** What stands in its place: a database that is nothing without what is attached to it. */
  main: { name: string; database: AttachedDatabase } | null
  connect: () => Promise<DuckDBConnection>
}

/** @throws MillraceError CONFIG when a name is taken, or nothing can be written to the default. */
export function createInstanceCatalogs(config: SharedConfig, own: OwnCatalog): InstanceCatalogs {
  const { main, isMotherDuck, connect } = own
  const attached = [
    ...(main === null ? [] : [[main.name, main.database] as const]),
    ...Object.entries(config.catalogs ?? {}),
  ]
  const attachments = createAttachments(
    attached.map(([name, database]) => toAttachment(name, database, isMotherDuck)),
    { env: config.environment.variables() },
  )
  const locks: PostgresLock[] = []
  const lockFor = (name: string) => (schema: string) => {
    const metadata = () => lakeMetadata(name, attachments.times(name))
    const lock = createPostgresLock({ connect, metadata, schema })
    locks.push(lock)
    return lock
  }
  const taken = own.target.catalog.toLowerCase()
  const all = new Map<string, Target | NotWritable>([[taken, own.target]])
  for (const [name, database] of attached) {
    if (name === taken) throw nameTaken(name)
    all.set(name, toTarget(name, database, lockFor(name)))
  }
  const name = main?.name ?? config.defaultCatalog ?? taken
  const target = all.get(name)
  if (target === undefined || 'reason' in target) throw notWritable(name, target)
  all.delete(name)
  return {
    attachments,
    target,
    others: all,
    settled: async () => {
      await Promise.all(locks.map((lock) => lock.settled()))
    },
  }
}

function nameTaken(name: string): MillraceError {
  return new MillraceError(
    'CONFIG',
    `connection.catalogs.${name}: expected another name than that of the connection's own database`,
  )
}

function notWritable(name: string, why: NotWritable | undefined): MillraceError {
  const reason = why?.reason ?? 'is not there'
  return new MillraceError(
    'CONFIG',
    `connection.catalogs.${name}: expected a first catalog to build into; it ${reason}`,
    {
      hint: 'Write a database for the connection, or put the catalog to build into first.',
    },
  )
}
