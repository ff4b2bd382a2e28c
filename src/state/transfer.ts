/**
 * A project's state as a document, out of a database and into another: for moves and backups.
 * The document holds what the state says, not the tables it speaks of; an import leaves out what is not true of its database.
 */
import type { Lease } from '../connections/lease.ts'
import { classifySqlError, type SqlErrorKind } from '../connections/sql-errors.ts'
import type { Transaction } from '../connections/transaction.ts'
import { MillraceError } from '../errors.ts'
import type { RelationName } from '../project/model.ts'
import { displayName, quoteIdentifier } from '../sql/identifiers.ts'
import { bulkInsert, type BulkRow } from './bulk.ts'
import { findOccupants } from './environments.ts'
import { STATE_VERSION } from './schema.ts'

/** Rows by table of the schema `millrace`; times are text, large integers too. */
export type StateTables = Record<string, BulkRow[]>

/** Which rows of each table are a project's (`$1`). Not here: what a running build holds or has begun, and what all projects share. */
const OWN_ROWS: Readonly<Record<string, string>> = {
  versions: 'project = $1',
  definitions: 'project = $1',
  fences: 'version IN (SELECT version FROM millrace.versions WHERE project = $1)',
  ledger: 'version IN (SELECT version FROM millrace.versions WHERE project = $1)',
  restatements: 'version IN (SELECT version FROM millrace.versions WHERE project = $1)',
  auto_restatements: 'version IN (SELECT version FROM millrace.versions WHERE project = $1)',
  steps: 'version IN (SELECT version FROM millrace.versions WHERE project = $1)',
  audit_warnings: `step IN (SELECT step FROM millrace.steps JOIN millrace.versions USING (version) WHERE project = $1)`,
  failures: 'run_id IN (SELECT run_id FROM millrace.builds WHERE project = $1)',
  environments: 'project = $1',
  environment_models: 'project = $1',
  builds: 'project = $1',
  build_models: 'run_id IN (SELECT run_id FROM millrace.builds WHERE project = $1)',
}

/** Names of the tables a document has, in the order it has them. */
export const STATE_TABLES: readonly string[] = Object.keys(OWN_ROWS)

/** All of a project's rows, of one moment. The state must be of this version. */
export async function exportState(lease: Lease, project: string): Promise<StateTables> {
  return lease.transaction(async (tx) => {
    const tables: StateTables = {}
    for (const [table, condition] of Object.entries(OWN_ROWS)) {
      tables[table] = await tx.rows<BulkRow>(`SELECT * FROM millrace.${table} WHERE ${condition} ORDER BY ALL`, [
        project,
      ])
    }
    return tables
  })
}

export interface ImportedState {
  /** Rows written, by table. */
  imported: Record<string, number>
  /** Versions whose tables are not in this database, by display name: they count as not built. */
  missingTables: string[]
  /** Views of environments that are not there: they are made by the next promotion. */
  missingViews: string[]
}

/**
 * Writes the rows in one transaction. The schema must be there.
 * @throws MillraceError USAGE when the database has a state of the project already, FILE for rows that do not fit the state.
 */
export async function importState(lease: Lease, project: string, tables: StateTables): Promise<ImportedState> {
  return lease.transaction(async (tx) => {
    await assertNoState(tx, project)
    const columns = await readColumns(tx)
    assertKnownTables(tables)
    const { kept, missingTables, missingViews } = await withoutMissing(tx, tables)
    const imported: Record<string, number> = {}
    for (const table of STATE_TABLES) {
      const rows = kept[table] ?? []
      await insertRows(tx, { table, columns: columns[table] ?? {}, rows })
      imported[table] = rows.length
    }
    return { imported, missingTables, missingViews }
  })
}

/** Rows in one statement; their JSON is one parameter. */
const CHUNK_ROWS = 20_000

/** Errors that the rows are to blame for. */
const UNFIT_KINDS: ReadonlySet<SqlErrorKind> = new Set<SqlErrorKind>(['conversion', 'constraint', 'invalid_input'])

async function assertNoState(tx: Transaction, project: string): Promise<void> {
  for (const [table, condition] of Object.entries(OWN_ROWS)) {
    const [found] = await tx.rows(`SELECT 1 AS found FROM millrace.${table} WHERE ${condition} LIMIT 1`, [project])
    if (found === undefined) continue
    throw new MillraceError(
      'USAGE',
      `expected a database without a state of project '${project}'; it has one (rows in millrace.${table})`,
      { hint: 'An import never replaces a state: import into another database; nothing was changed.' },
    )
  }
}

/** Column → type of every table of the state. */
async function readColumns(tx: Transaction): Promise<Record<string, Record<string, string>>> {
  const rows = await tx.rows<{ table_name: string; column_name: string; data_type: string }>(
    `SELECT table_name, column_name, data_type FROM duckdb_columns()
     WHERE database_name = current_database() AND schema_name = 'millrace' ORDER BY table_name, column_index`,
  )
  const columns: Record<string, Record<string, string>> = {}
  for (const { table_name, column_name, data_type } of rows) {
    columns[table_name] = { ...columns[table_name], [column_name]: data_type }
  }
  return columns
}

function assertKnownTables(tables: StateTables): void {
  const unknown = Object.keys(tables).filter((table) => !STATE_TABLES.includes(table))
  if (unknown.length === 0) return
  throw wrongRows(`expected the tables ${STATE_TABLES.join(', ')}; got also ${unknown.join(', ')}`)
}

interface Kept {
  kept: StateTables
  missingTables: string[]
  missingViews: string[]
}

/**
 * Without the ledger's rows of versions whose tables are not here, and without environments' views that are not: a build
 * would take both for done.
 */
async function withoutMissing(tx: Transaction, tables: StateTables): Promise<Kept> {
  const physical = (tables['versions'] ?? []).flatMap((row) => place(row, 'physical'))
  const views = (tables['environment_models'] ?? []).flatMap((row) => place(row, 'view'))
  const occupants = await findOccupants(
    tx,
    [...physical, ...views].map(({ relation }) => relation),
  )
  const present = new Set(occupants.map(({ relation }) => keyOf(relation)))
  const isMissing = ({ relation }: Place): boolean => !present.has(keyOf(relation))
  const recorded = new Set((tables['ledger'] ?? []).map((row) => row['version']))
  const lostTables = physical.filter((table) => recorded.has(table.row['version'] ?? null) && isMissing(table))
  const lostViews = views.filter(isMissing)
  const lostVersions = new Set(lostTables.map(({ row }) => row['version']))
  const lostRows = new Set(lostViews.map(({ row }) => row))
  return {
    kept: {
      ...tables,
      ledger: (tables['ledger'] ?? []).filter((row) => !lostVersions.has(row['version'])),
      environment_models: (tables['environment_models'] ?? []).filter((row) => !lostRows.has(row)),
    },
    missingTables: lostTables.map(({ relation }) => displayName(relation)),
    missingViews: lostViews.map(({ relation }) => displayName(relation)),
  }
}

interface Place {
  row: BulkRow
  relation: RelationName
}

/** None for a model without a table. */
function place(row: BulkRow, what: 'physical' | 'view'): Place[] {
  const [catalog = null, schema, name] = ['catalog', 'schema', 'name'].map((part) => row[`${what}_${part}`])
  if (typeof name !== 'string') return []
  return [
    { row, relation: { catalog: catalog === null ? null : String(catalog), schema: String(schema ?? 'main'), name } },
  ]
}

function keyOf({ catalog, schema, name }: RelationName): string {
  return JSON.stringify([catalog, schema, name]).toLowerCase()
}

interface TableRows {
  table: string
  columns: Record<string, string>
  rows: readonly BulkRow[]
}

async function insertRows(tx: Transaction, { table, columns, rows }: TableRows): Promise<void> {
  const names = Object.keys(columns)
  const odd = rows.find((row) => Object.keys(row).length !== names.length || names.some((name) => !(name in row)))
  if (odd !== undefined) {
    throw wrongRows(`table ${table}: expected the columns ${names.join(', ')}; got ${Object.keys(odd).join(', ')}`)
  }
  // Two projects of one definition share it.
  const shared = table === 'definitions' ? { key: 'definition' } : {}
  for (let from = 0; from < rows.length; from += CHUNK_ROWS) {
    const insert = bulkInsert(
      `millrace.${quoteIdentifier(table)}`,
      columns,
      rows.slice(from, from + CHUNK_ROWS),
      shared,
    )
    try {
      await tx.run(insert)
    } catch (error) {
      const { kind, message } = classifySqlError(error)
      throw UNFIT_KINDS.has(kind) ? wrongRows(`table ${table}: ${message}`, error) : error
    }
  }
}

function wrongRows(message: string, cause?: unknown): MillraceError {
  return new MillraceError('FILE', `the exported state does not fit a state of version ${STATE_VERSION}: ${message}`, {
    hint: 'Export it again; nothing was changed.',
    cause,
  })
}
