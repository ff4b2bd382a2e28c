/** A catalog of a configuration → what DuckDB is told to attach it. No secret is in an address: messages and lists repeat those. */
import { quoteIdentifier, quoteString } from '../../sql/identifiers.ts'
import type { AttachedDatabase } from '../config/attached-database.ts'
import type { DuckLakeLocation } from '../config/ducklake-config.ts'
import type { PostgresLocation } from '../config/postgres-location.ts'
import { quackUri } from '../config/quack-config.ts'
import { isRemote } from '../config/resolve-path.ts'
import type { Credential } from '../credentials/credential.ts'

/** How a catalog is attached. */
export interface Attachment {
  /** In lower case. */
  name: string
  /** For messages: the file, the server. */
  place: string
  /** Extensions that must be loaded before, by their files' names. */
  extensions: readonly string[]
  /** Files of this machine that DuckDB opens. */
  files: readonly string[]
  /** Folders that must exist. */
  folders: readonly string[]
  /** What it authenticates with; null for nothing. */
  credential: Credential | null
  /** Another token takes effect only when it is attached anew: its connections are made with the one it was attached with. */
  keepsToken: boolean
  /** Needs what only a lease brings: credentials, or the secrets of the instance. */
  isDeferred: boolean
  /** @param token of `credential`. @param time 1, 2 …: each is another address to DuckDB, which else would keep the first. */
  statements(token: string | null, time: number): string[]
}

/** @param isMotherDuck the instance is one of MotherDuck, and has its token. */
export function toAttachment(name: string, database: AttachedDatabase, isMotherDuck: boolean): Attachment {
  const parts = partsOf(name, database)
  return {
    name,
    files: [],
    folders: [],
    credential: null,
    keepsToken: false,
    isDeferred: false,
    ...parts,
    ...(database.type === 'motherduck' && isMotherDuck ? { credential: null } : {}),
  }
}

/** Under which a lake's own tables are found, in the catalog's database. */
export function lakeMetadata(name: string, time: number): string {
  return `__ducklake_metadata_${name}${time === 1 ? '' : `_${time}`}`
}

type Parts = Pick<Attachment, 'place' | 'extensions' | 'statements'> & Partial<Attachment>

function partsOf(name: string, database: AttachedDatabase): Parts {
  switch (database.type) {
    case 'duckdb': {
      const { path, readOnly } = database
      return {
        place: path ?? 'a database in memory',
        extensions: path !== null && isRemote(path) ? ['httpfs'] : [],
        files: localFile(path),
        isDeferred: path !== null && isRemote(path),
        statements: () => [attach(path ?? ':memory:', name, { TYPE: 'duckdb', READ_ONLY: readOnly && path !== null })],
      }
    }
    case 'sqlite': {
      const { path, readOnly } = database
      return {
        place: path,
        extensions: ['sqlite_scanner'],
        files: [path],
        statements: () => [attach(path, name, { TYPE: 'sqlite', READ_ONLY: readOnly })],
      }
    }
    case 'motherduck':
      return {
        place: `md:${database.database ?? ''}`,
        extensions: ['motherduck'],
        credential: database.token,
        isDeferred: true,
        // The token is the instance's, once.
        statements: (token) => [
          ...(token === null ? [] : [`SET GLOBAL motherduck_token = ${quoteString(token)}`]),
          attachMotherDuck(database.database ?? '', name, database.readOnly),
        ],
      }
    case 'postgres':
      return postgresParts(name, database)
    case 'quack':
      return quackParts(name, database)
    case 'ducklake':
      return lakeParts(name, database)
  }
}

function postgresParts(name: string, database: Extract<AttachedDatabase, { type: 'postgres' }>): Parts {
  const { schema, readOnly, password } = database
  const secret = secretName(name)
  return {
    place: postgresAddress(database, 1),
    extensions: ['postgres_scanner'],
    credential: password,
    keepsToken: true,
    isDeferred: true,
    statements: (token, time) => [
      ...postgresSecret(secret, token),
      attach(postgresAddress(database, time), name, {
        TYPE: 'postgres',
        SECRET: token === null ? null : secret,
        SCHEMA: schema,
        READ_ONLY: readOnly,
      }),
    ],
  }
}

/** The server asks for the token when it is attached, and never again. As an option DuckDB would list it. */
function quackParts(name: string, database: Extract<AttachedDatabase, { type: 'quack' }>): Parts {
  const uri = quackUri(database)
  const secret = quoteIdentifier(secretName(name))
  return {
    place: uri,
    extensions: ['httpfs', 'quack'],
    credential: database.token,
    isDeferred: true,
    statements: (token) => [
      ...(token === null
        ? []
        : [
            `CREATE OR REPLACE TEMPORARY SECRET ${secret} (TYPE quack, TOKEN ${quoteString(token)}, SCOPE ${quoteString(uri)})`,
          ]),
      attach(uri, name, { TYPE: 'quack', DISABLE_SSL: database.disableSsl, READ_ONLY: database.readOnly }),
      // Another catalog of the same server may have another token, and DuckDB finds secrets by the server.
      ...(token === null ? [] : [`DROP TEMPORARY SECRET ${secret}`]),
    ],
  }
}

function lakeParts(name: string, lake: DuckLakeLocation & { readOnly: boolean }): Parts {
  const { catalog, dataPath } = lake
  const isLocal = dataPath !== null && !isRemote(dataPath)
  const shared = {
    folders: isLocal && !lake.readOnly ? [dataPath] : [],
    // Its data are read with the secrets of the instance; that the folder is local is known only where it is written.
    isDeferred: dataPath !== null && !isLocal,
  }
  const data = dataPath !== null && !isLocal ? ['httpfs'] : []
  if (catalog.kind === 'postgres') {
    const secret = secretName(name)
    return {
      ...shared,
      place: `ducklake:${postgresAddress(catalog, 1)}`,
      extensions: ['ducklake', 'postgres_scanner', ...data],
      credential: catalog.password,
      keepsToken: true,
      isDeferred: true,
      statements: (token, time) => [
        ...postgresSecret(secret, token),
        attach(`ducklake:postgres:${postgresAddress(catalog, time)}`, name, {
          ...lakeOptions(name, lake, time),
          META_SECRET: token === null ? null : secret,
        }),
      ],
    }
  }
  const isSqlite = catalog.kind === 'sqlite'
  const lock = `${catalog.path}.millrace-lock`
  return {
    ...shared,
    place: catalog.path,
    extensions: [...(isSqlite ? ['ducklake', 'sqlite_scanner'] : ['ducklake']), ...data],
    files: isSqlite && !lake.readOnly ? [lock, catalog.path] : [catalog.path],
    statements: () => [
      // SQLite lets a second process in, and then refuses every other commit (`database is locked`).
      ...(isSqlite && !lake.readOnly ? [attach(lock, `__millrace_lock_${name}`, { TYPE: 'duckdb' })] : []),
      attach(`ducklake:${isSqlite ? 'sqlite:' : ''}${catalog.path}`, name, {
        ...lakeOptions(name, lake, 1),
        // Without it, one reader in mid-statement keeps a commit from ever ending.
        META_JOURNAL_MODE: isSqlite && !lake.readOnly ? 'WAL' : null,
      }),
    ],
  }
}

type Options = Readonly<Record<string, string | number | boolean | null>>

function lakeOptions(name: string, lake: DuckLakeLocation & { readOnly: boolean }, time: number): Options {
  return {
    DATA_PATH: lake.dataPath,
    ENCRYPTED: lake.encrypted,
    DATA_INLINING_ROW_LIMIT: lake.dataInliningRowLimit,
    METADATA_SCHEMA: lake.metadataSchema,
    METADATA_CATALOG: lakeMetadata(name, time),
    READ_ONLY: lake.readOnly,
  }
}

/** @param options those that are null or false are left out. */
function attach(address: string, name: string, options: Options): string {
  const written = Object.entries(options).flatMap(([key, value]) => {
    if (value === null || value === false) return []
    return value === true ? key : `${key} ${typeof value === 'number' ? value : quoteString(value)}`
  })
  return `ATTACH OR REPLACE ${quoteString(address)} AS ${quoteIdentifier(name)} (${written.join(', ')})`
}

/** MotherDuck knows its databases by their own names; only another one is said. */
function attachMotherDuck(database: string, name: string, readOnly: boolean): string {
  const alias = database.toLowerCase() === name ? '' : ` AS ${quoteIdentifier(name)}`
  return `ATTACH IF NOT EXISTS ${quoteString(`md:${database}`)}${alias}${readOnly ? ' (READ_ONLY)' : ''}`
}

/** libpq's own text. A later one differs, so that DuckDB attaches anew instead of keeping what it has. */
function postgresAddress({ parameters }: PostgresLocation, time: number): string {
  const all = time === 1 ? parameters : { ...parameters, fallback_application_name: `millrace ${time}` }
  return Object.entries(all)
    .map(([key, value]) => `${key}=${/^[\w.:/-]+$/.test(value) ? value : `'${value.replaceAll(/['\\]/g, '\\$&')}'`}`)
    .join(' ')
}

function postgresSecret(name: string, password: string | null): string[] {
  if (password === null) return []
  return [
    `CREATE OR REPLACE TEMPORARY SECRET ${quoteIdentifier(name)} (TYPE postgres, PASSWORD ${quoteString(password)})`,
  ]
}

function secretName(catalog: string): string {
  return `__millrace_${catalog}`
}

function localFile(path: string | null): string[] {
  return path === null || isRemote(path) ? [] : [path]
}
