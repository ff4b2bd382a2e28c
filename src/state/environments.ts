/** Environments: which version each name stands for, and the promotion that moves them all at once. */
import type { Lease } from '../connections/lease.ts'
import type { EnvironmentEntry } from '../graph/plan-context.ts'
import type { RelationName } from '../project/model.ts'
import { displayName, quoteIdentifier, quoteRelation, quoteString } from '../sql/identifiers.ts'

type Session = Pick<Lease, 'run' | 'rows'>

export interface EnvironmentModel extends EnvironmentEntry {
  /** The view people read; null for a model without a table. */
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
  const rows = await session.rows<{
    model: string
    version: string
    metadata_hash: string
    view_schema: string | null
    view_name: string | null
  }>(
    `SELECT model, version, metadata_hash, view_schema, view_name FROM millrace.environment_models
     WHERE project = $1 AND environment = $2 ORDER BY model`,
    [project, environment],
  )
  return {
    revision: head?.revision ?? 0,
    models: rows.map((row) => ({
      model: row.model,
      version: row.version,
      metadataHash: row.metadata_hash,
      view: row.view_name === null ? null : { catalog: null, schema: row.view_schema, name: row.view_name },
    })),
  }
}

/** An object that stands where a view must go. */
export interface Occupant {
  relation: RelationName
  type: 'table' | 'view'
}

/** Tables and views of these names that are in the database now. */
export async function findOccupants(session: Session, relations: readonly RelationName[]): Promise<Occupant[]> {
  const names = JSON.stringify(relations.map(({ schema, name }) => ({ schema: schema ?? 'main', name })))
  const rows = await session.rows<{ schema: string; name: string; type: 'table' | 'view' }>(
    `WITH wanted AS (SELECT unnest(from_json($1, '[{"schema":"VARCHAR","name":"VARCHAR"}]'), recursive := true)),
     present AS (
       SELECT schema_name, table_name AS object_name, 'table' AS type FROM duckdb_tables()
       WHERE database_name = current_database()
       UNION ALL
       SELECT schema_name, view_name, 'view' FROM duckdb_views() WHERE database_name = current_database() AND NOT internal)
     SELECT DISTINCT schema_name AS schema, object_name AS name, type FROM present
     JOIN wanted ON lower(schema_name) = lower(wanted.schema) AND lower(object_name) = lower(wanted.name)
     ORDER BY ALL`,
    [names],
  )
  return rows.map(({ schema, name, type }) => ({ relation: { catalog: null, schema, name }, type }))
}

/** Views of the environments of other projects: name in lower case → project. The state must be there. */
export async function readForeignViews(session: Session, project: string): Promise<Map<string, string>> {
  const rows = await session.rows<{ project: string; schema: string | null; name: string }>(
    `SELECT project, view_schema AS schema, view_name AS name FROM millrace.environment_models
     WHERE project <> $1 AND view_name IS NOT NULL`,
    [project],
  )
  return new Map(
    rows.map((row) => [
      displayName({ catalog: null, schema: row.schema ?? 'main', name: row.name }).toLowerCase(),
      row.project,
    ]),
  )
}

export interface Promotion {
  project: string
  environment: string
  /** What the environment's revision must still be. */
  revision: number
  promotedBy: string
  /** Views to create or move, each with the relation it shows. */
  views: { view: RelationName; shows: RelationName }[]
  drops: RelationName[]
  /** Strangers that make room, with the name they get. */
  renames: (Occupant & { to: string })[]
  models: EnvironmentModel[]
}

/** Text of the error a promotion raises when another promotion came first. */
export const PROMOTION_RACE = 'millrace: the environment changed'

/**
 * All of a promotion as one string of statements, for one transaction.
 * The lock row is updated first, so that a promotion and a clean-up of what it shows cannot both commit.
 */
export function promotionScript(promotion: Promotion): string {
  const { project, environment, revision, promotedBy, views, drops, renames, models } = promotion
  const key = `project = ${quoteString(project)} AND environment = ${quoteString(environment)}`
  const schemas = new Set(views.map(({ view }) => view.schema ?? 'main'))
  return [
    'UPDATE millrace.promotion_lock SET uses = uses + 1',
    `SELECT CASE WHEN coalesce((SELECT revision FROM millrace.environments WHERE ${key}), 0) <> ${revision} THEN error(${quoteString(PROMOTION_RACE)}) END`,
    ...renames.map(
      ({ relation, type, to }) =>
        `ALTER ${type === 'table' ? 'TABLE' : 'VIEW'} ${quoteRelation(relation)} RENAME TO ${quoteIdentifier(to)}`,
    ),
    ...[...schemas].map((schema) => `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`),
    ...drops.map((view) => `DROP VIEW IF EXISTS ${quoteRelation(view)}`),
    ...views.map(
      ({ view, shows }) => `CREATE OR REPLACE VIEW ${quoteRelation(view)} AS SELECT * FROM ${quoteRelation(shows)}`,
    ),
    `DELETE FROM millrace.environment_models WHERE ${key}`,
    ...(models.length === 0 ? [] : [`INSERT INTO millrace.environment_models VALUES ${modelRows(promotion)}`]),
    `DELETE FROM millrace.environments WHERE ${key}`,
    `INSERT INTO millrace.environments VALUES (${quoteString(project)}, ${quoteString(environment)}, ${revision + 1}, ${quoteString(promotedBy)}, now()::TIMESTAMP)`,
  ].join(';\n')
}

/** Who made the promotion that brought the environment to `revision`; null when it is at another. */
export async function readPromoter(session: Session, promotion: Promotion): Promise<string | null> {
  const [row] = await session.rows<{ promoted_by: string }>(
    'SELECT promoted_by FROM millrace.environments WHERE project = $1 AND environment = $2 AND revision = $3',
    [promotion.project, promotion.environment, promotion.revision + 1],
  )
  return row?.promoted_by ?? null
}

function modelRows({ project, environment, models }: Promotion): string {
  const literal = (text: string | null): string => (text === null ? 'NULL' : quoteString(text))
  return models
    .map(({ model, version, metadataHash, view }) => {
      const values = [project, environment, model, version, metadataHash, view?.schema ?? null, view?.name ?? null]
      return `(${values.map(literal).join(', ')})`
    })
    .join(',\n')
}
