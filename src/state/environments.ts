/** Environments: which version each name stands for, and what else stands where their views go. */
import type { Lease } from '../connections/lease.ts'
import type { EnvironmentEntry } from '../graph/plan-context.ts'
import type { RelationName } from '../project/model.ts'
import { displayName } from '../sql/identifiers.ts'

type Session = Pick<Lease, 'run' | 'rows'>

export interface EnvironmentModel extends EnvironmentEntry {
  /** The view people read, without a catalog in the main database; null for a model without a table. */
  view: RelationName | null
}

export interface EnvironmentState {
  /** Grows by one with each promotion; 0 before the first. */
  revision: number
  models: EnvironmentModel[]
}

export async function readEnvironment(
  session: Session,
  project: string,
  environment: string,
): Promise<EnvironmentState> {
  const [head] = await session.rows<{ revision: number }>(
    'SELECT revision::DOUBLE AS revision FROM millrace.environments WHERE project = $1 AND environment = $2',
    [project, environment],
  )
  // All columns: a state of version 1, which a preview reads as it is, lacks the catalog.
  const rows = await session.rows<ModelRow>(
    'SELECT * FROM millrace.environment_models WHERE project = $1 AND environment = $2 ORDER BY model',
    [project, environment],
  )
  return {
    revision: head?.revision ?? 0,
    models: rows.map((row) => ({
      model: row.model,
      version: row.version,
      metadataHash: row.metadata_hash,
      view: viewOf(row),
    })),
  }
}

interface ModelRow {
  project: string
  environment: string
  model: string
  version: string
  metadata_hash: string
  view_schema: string | null
  view_name: string | null
  view_catalog?: string | null
}

function viewOf({ view_catalog, view_schema, view_name }: ModelRow): RelationName | null {
  return view_name === null ? null : { catalog: view_catalog ?? null, schema: view_schema, name: view_name }
}

/** An object that stands where a view must go. */
export interface Occupant {
  relation: RelationName
  type: 'table' | 'view'
}

/** Tables and views of these names that are there now; without a catalog a name means the session's own. */
export async function findOccupants(session: Session, relations: readonly RelationName[]): Promise<Occupant[]> {
  const names = JSON.stringify(
    relations.map(({ catalog, schema, name }) => ({ catalog, schema: schema ?? 'main', name })),
  )
  const rows = await session.rows<RelationName & { type: 'table' | 'view' }>(
    `WITH wanted AS (SELECT unnest(from_json($1, '[{"catalog":"VARCHAR","schema":"VARCHAR","name":"VARCHAR"}]'), recursive := true)),
     present AS (
       SELECT database_name, schema_name, table_name AS object_name, 'table' AS type FROM duckdb_tables()
       UNION ALL
       SELECT database_name, schema_name, view_name, 'view' FROM duckdb_views() WHERE NOT internal)
     SELECT DISTINCT wanted.catalog AS catalog, schema_name AS schema, object_name AS name, type FROM present
     JOIN wanted ON lower(schema_name) = lower(wanted.schema) AND lower(object_name) = lower(wanted.name)
       AND lower(database_name) = lower(coalesce(wanted.catalog, current_database()))
     ORDER BY ALL NULLS FIRST`,
    [names],
  )
  return rows.map(({ catalog, schema, name, type }) => ({ relation: { catalog, schema, name }, type }))
}

export interface ViewOwner {
  project: string
  environment: string
}

/** Views of environments in the session's own database, by name in lower case. The state must be there. */
export async function readViewOwners(session: Session): Promise<Map<string, ViewOwner>> {
  const rows = await session.rows<ModelRow>('SELECT * FROM millrace.environment_models')
  return new Map(
    rows.flatMap((row) => {
      const view = viewOf(row)
      if (view === null || view.catalog !== null) return []
      const { project, environment } = row
      return [[displayName({ ...view, schema: view.schema ?? 'main' }).toLowerCase(), { project, environment }]]
    }),
  )
}
