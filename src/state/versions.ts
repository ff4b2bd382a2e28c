/** Versions and definitions: which physical tables there are, and what they are built from. */
import type { Lease } from '../connections/lease.ts'
import { MillraceError } from '../errors.ts'
import type { KnownVersion } from '../graph/plan-context.ts'
import type { ModelDefinition } from '../project/definition.ts'
import { quoteString } from '../sql/identifiers.ts'
import { bulkInsert } from './bulk.ts'

type Session = Pick<Lease, 'run' | 'rows'>

export interface StoredVersion extends KnownVersion {
  kind: string
  /** Null for an embedded model. */
  physicalSchema: string | null
  physicalName: string | null
}

export interface NewVersion extends StoredVersion {
  project: string
}

/** All versions of a project, newest first. */
export async function readVersions(session: Session, project: string): Promise<StoredVersion[]> {
  return session.rows<StoredVersion & Record<string, never>>(
    `SELECT version, model, kind, fingerprint, fingerprint_format AS format,
            physical_schema AS "physicalSchema", physical_name AS "physicalName"
     FROM millrace.versions WHERE project = $1 ORDER BY created_at DESC, version`,
    [project],
  )
}

/** SQL that records versions and the fence row of each. */
export function insertVersions(versions: readonly NewVersion[]): string[] {
  if (versions.length === 0) return []
  const rows = versions.map((version) => ({
    version: version.version,
    project: version.project,
    model: version.model,
    kind: version.kind,
    fingerprint: version.fingerprint,
    fingerprint_format: version.format,
    physical_schema: version.physicalSchema,
    physical_name: version.physicalName,
    created_at: new Date().toISOString(),
  }))
  const columns = {
    version: 'VARCHAR',
    project: 'VARCHAR',
    model: 'VARCHAR',
    kind: 'VARCHAR',
    fingerprint: 'VARCHAR',
    fingerprint_format: 'INTEGER',
    physical_schema: 'VARCHAR',
    physical_name: 'VARCHAR',
    created_at: 'TIMESTAMP',
  }
  const fences = versions.map(({ version }) => ({ version, steps: 0 }))
  return [
    bulkInsert('millrace.versions', columns, rows, { key: 'version' }),
    bulkInsert('millrace.fences', { version: 'VARCHAR', steps: 'BIGINT' }, fences, { key: 'version' }),
  ]
}

/** SQL that gives versions another fingerprint: what goes on in them is defined anew. */
export function adoptFingerprints(
  versions: readonly Pick<KnownVersion, 'version' | 'fingerprint' | 'format'>[],
): string[] {
  return versions.map(
    ({ version, fingerprint, format }) =>
      `UPDATE millrace.versions SET fingerprint = ${quoteString(fingerprint)}, fingerprint_format = ${format} WHERE version = ${quoteString(version)}`,
  )
}

export interface NewDefinition {
  hash: string
  project: string
  definition: ModelDefinition
}

/** Those that the state does not hold. */
export async function newDefinitions(
  session: Session,
  definitions: readonly NewDefinition[],
): Promise<NewDefinition[]> {
  const known = await session.rows<{ definition: string }>('SELECT definition FROM millrace.definitions')
  const stored = new Set(known.map(({ definition }) => definition))
  return definitions.filter(({ hash }) => !stored.has(hash))
}

/** SQL that stores definitions; those that are there meanwhile stay. */
export function insertDefinitions(definitions: readonly NewDefinition[]): string[] {
  if (definitions.length === 0) return []
  const rows = definitions.map(({ hash, project, definition }) => ({
    definition: hash,
    project,
    model: definition.model.name,
    body: JSON.stringify(definition),
  }))
  const columns = { definition: 'VARCHAR', project: 'VARCHAR', model: 'VARCHAR', body: 'VARCHAR' }
  return [bulkInsert('millrace.definitions', columns, rows, { key: 'definition' })]
}

/** @throws MillraceError INTERNAL when the state does not hold it. */
export async function readDefinition(session: Session, hash: string): Promise<ModelDefinition> {
  const [row] = await session.rows<{ body: string }>('SELECT body FROM millrace.definitions WHERE definition = $1', [
    hash,
  ])
  if (row === undefined) {
    throw new MillraceError('INTERNAL', `expected definition ${hash} in the state; it is not there`, {
      hint: 'start the build again: planning stores it anew',
    })
  }
  return JSON.parse(row.body) as ModelDefinition
}
