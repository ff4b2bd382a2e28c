/** A DuckLake: a catalog in PostgreSQL, SQLite or a DuckDB file, and a folder of data. */
import { canonicalPath } from '../canonical-path.ts'
import {
  canonicalPostgres,
  isPostgres,
  parsePostgres,
  postgresIdentity,
  type PostgresLocation,
} from './postgres-location.ts'
import { readBoolean, readInteger, readText, wrongValue, type Data } from './read-value.ts'
import { canonicalLocation, resolveFolder, resolvePath, type ConnectionContext } from './resolve-path.ts'

export type LakeCatalog =
  | { kind: 'duckdb' | 'sqlite'; /** Absolute. */ path: string }
  | ({ kind: 'postgres' } & PostgresLocation)

export interface DuckLakeLocation {
  catalog: LakeCatalog
  /** A folder (absolute) or a URL; null for what the catalog says, or `<file>.files` for a new one in a DuckDB file. */
  dataPath: string | null
  /** Of a new lake. Default false. */
  encrypted: boolean
  /** Inserts of fewer rows go into the catalog; null for DuckLake's own default. */
  dataInliningRowLimit: number | null
  /** The catalog's schema with DuckLake's tables; null for its default. */
  metadataSchema: string | null
}

export const DUCKLAKE_KEYS = [
  'catalog',
  'password',
  'data_path',
  'encrypted',
  'data_inlining_row_limit',
  'metadata_schema',
]

/** Whether text means a DuckLake. */
export function isDuckLake(text: string): boolean {
  return /^ducklake:/i.test(text.trim())
}

/**
 * @param given `catalog`: `postgres:…`, `sqlite:FILE` or a DuckDB file, `ducklake:` in front or not; `password` of a
 * PostgreSQL catalog. @throws MillraceError CONFIG
 */
export function parseDuckLake(given: Data, key: string, context: ConnectionContext): DuckLakeLocation {
  const { catalog, password, data_path, encrypted, data_inlining_row_limit, metadata_schema } = given
  return {
    catalog: parseCatalog(readText(catalog ?? null, `${key}.catalog`), { key: `${key}.catalog`, password, context }),
    dataPath: data_path === undefined ? null : resolveFolder(readText(data_path, `${key}.data_path`), context),
    encrypted: encrypted === undefined ? false : readBoolean(encrypted, `${key}.encrypted`),
    dataInliningRowLimit:
      data_inlining_row_limit === undefined
        ? null
        : readInteger(data_inlining_row_limit, `${key}.data_inlining_row_limit`, LIMITS),
    metadataSchema: metadata_schema === undefined ? null : readText(metadata_schema, `${key}.metadata_schema`),
  }
}

/** Which lake it is, whoever asks: its catalog and schema. One lake has one lane for writers. */
export function duckLakeIdentity(location: DuckLakeLocation): string {
  const { catalog } = location
  const place = catalog.kind === 'postgres' ? postgresIdentity(catalog) : `file ${canonicalPath(catalog.path)}`
  return `ducklake ${place} ${schemaOf(location)}`
}

export function canonicalDuckLake(location: DuckLakeLocation): Record<string, unknown> {
  const { catalog, dataPath, encrypted, dataInliningRowLimit } = location
  return {
    catalog:
      catalog.kind === 'postgres'
        ? { kind: catalog.kind, ...canonicalPostgres(catalog) }
        : { kind: catalog.kind, path: canonicalPath(catalog.path) },
    data_path: dataPath === null ? null : canonicalLocation(dataPath),
    encrypted,
    data_inlining_row_limit: dataInliningRowLimit,
    metadata_schema: schemaOf(location),
  }
}

const LIMITS = { min: 0, max: 1_000_000_000 }

interface CatalogPlace {
  key: string
  password: unknown
  context: ConnectionContext
}

function parseCatalog(written: string, { key, password, context }: CatalogPlace): LakeCatalog {
  const text = written.trim().replace(/^ducklake:/i, '')
  if (isPostgres(text)) return { kind: 'postgres', ...parsePostgres(text, { key, password, context }) }
  if (password !== undefined) {
    throw wrongValue(key, 'a PostgreSQL catalog, since there is a password', text)
  }
  const [, prefix, path] = /^([a-z][a-z0-9+.-]+):(.*)$/is.exec(text) ?? [text, 'duckdb', text]
  const kind = prefix?.toLowerCase()
  if ((kind === 'duckdb' || kind === 'sqlite') && path !== undefined && path !== '') {
    return { kind, path: resolvePath(path, context) }
  }
  throw wrongValue(key, 'postgres:…, sqlite:FILE or a DuckDB file', text)
}

/** `main` and `public` are what the catalogs' own defaults are called. */
function schemaOf({ catalog, metadataSchema }: DuckLakeLocation): string {
  return (metadataSchema ?? (catalog.kind === 'postgres' ? 'public' : 'main')).toLowerCase()
}
