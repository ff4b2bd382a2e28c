/**
 * The promotion that moves an environment's views all at once: one transaction in one database; over several catalogs one in
 * each, the main database's last, and a journal there that says which promotion has begun, until its last one ends it.
 */
import type { Lease } from '../connections/lease.ts'
import type { RelationName } from '../project/model.ts'
import { commentStatements, onColumns, type Comments } from '../sql/comments.ts'
import { quoteIdentifier, quoteRelation, quoteString } from '../sql/identifiers.ts'
import type { EnvironmentModel, Occupant } from './environments.ts'

type Session = Pick<Lease, 'run' | 'rows'>

export interface Promotion {
  project: string
  environment: string
  /** What the environment's revision must still be. */
  revision: number
  /** The build's run. */
  promotedBy: string
  /** Views to create or move, each with the relation it shows, which is in the same catalog and names none. */
  views: { view: RelationName; shows: RelationName; comments?: Comments }[]
  drops: RelationName[]
  /** Strangers that make room, with the name they get. */
  renames: (Occupant & { to: string })[]
  models: EnvironmentModel[]
}

/** Text of the error a promotion raises when another promotion came first. */
export const PROMOTION_RACE = 'millrace: the environment changed'

/** Catalogs beside the main database in which something moves, sorted. */
export function promotedCatalogs({ views, drops, renames }: Promotion): string[] {
  const relations = [...views.map(({ view }) => view), ...drops, ...renames.map(({ relation }) => relation)]
  return [...new Set(relations.flatMap(({ catalog }) => catalog ?? []))].sort()
}

/**
 * SQL that begins a promotion over several catalogs, in the main database: from here on whoever comes next ends it. Beginning again
 * changes nothing.
 */
export function beginPromotion(promotion: Promotion): string {
  const { project, environment, promotedBy } = promotion
  const texts = [project, environment, promotedBy].map(quoteString).join(', ')
  return [
    LOCK,
    assertNot(
      `${isOtherRevision(promotion)} OR EXISTS (${journal(promotion)} AND run_id <> ${quoteString(promotedBy)})`,
    ),
    endJournal(promotion),
    `INSERT INTO millrace.promotion_journal VALUES (${texts}, now()::TIMESTAMP)`,
  ].join(';\n')
}

/**
 * SQL of a promotion's part in an attached catalog, for one transaction there. It is refused when the promotion is not the one that
 * has begun. @param main name of the main database's catalog.
 */
export function catalogPromotion(promotion: Promotion, catalog: string, main: string): string {
  const begun = `${journal(promotion, main)} AND run_id = ${quoteString(promotion.promotedBy)}`
  // What another project finds, to whom this database may be the main one.
  const models = promotion.models
    .filter(({ view }) => view?.catalog === catalog)
    .map(({ view, ...model }) => ({ ...model, view: view === null ? null : local(view) }))
  return [
    // First, and then the journal: whoever changed this catalog before has ended by now what it had begun.
    LOCK,
    assertNot(`NOT EXISTS (${begun})`),
    ...moves(promotion, catalog),
    ...records({ ...promotion, models }),
  ].join(';\n')
}

/**
 * SQL of a promotion in the main database, for one transaction: the last one, and without attached catalogs the only one.
 * The lock row is updated first, so that a promotion and a clean-up of what it shows cannot both commit.
 */
export function promotionScript(promotion: Promotion): string {
  const own = quoteString(promotion.promotedBy)
  const hasBegun = promotedCatalogs(promotion).length > 0
  const race = hasBegun ? `NOT EXISTS (${journal(promotion)} AND run_id = ${own})` : `EXISTS (${journal(promotion)})`
  return [
    LOCK,
    assertNot(`${isOtherRevision(promotion)} OR ${race}`),
    ...moves(promotion, null),
    ...records(promotion),
    // Whoever ends it may not be the build itself.
    ...(hasBegun ? [endJournal(promotion), `UPDATE millrace.builds SET promoted = true WHERE run_id = ${own}`] : []),
  ].join(';\n')
}

/**
 * The promotion with comments only on columns that its views in a catalog will have: what a model describes besides is no reason to
 * fail. Its tables are there already. @param onViews whether the database has comments on columns of views.
 */
export async function withKnownColumns(
  session: Session,
  promotion: Promotion,
  { catalog, onViews }: { catalog: string | null; onViews: boolean },
): Promise<Promotion> {
  const { views } = promotion
  const described = views.filter(
    ({ view, comments }) => view.catalog === catalog && Object.keys(comments?.columns ?? {}).length > 0,
  )
  const columns = onViews && described.length > 0 ? await readColumns(session, described) : new Map<string, string[]>()
  return {
    ...promotion,
    views: views.map((one) => {
      if (one.comments === undefined || one.view.catalog !== catalog) return one
      return { ...one, comments: onColumns(one.comments, columns.get(one.shows.name) ?? []) }
    }),
  }
}

/** By the name of the physical table, which is unique. */
async function readColumns(session: Session, views: Promotion['views']): Promise<Map<string, string[]>> {
  const names = views.map(({ shows }) => quoteString(shows.name)).join(', ')
  const rows = await session.rows<{ table_name: string; columns: string[] }>(
    `SELECT table_name, list(column_name) AS columns FROM duckdb_columns()
     WHERE database_name = current_database() AND table_name IN (${names}) GROUP BY table_name`,
  )
  return new Map(rows.map(({ table_name, columns }) => [table_name, columns]))
}

/** Who made the promotion that brought the session's database to its revision; null when it is at another. */
export async function readPromoter(session: Session, promotion: Promotion): Promise<string | null> {
  const [row] = await session.rows<{ promoted_by: string }>(
    'SELECT promoted_by FROM millrace.environments WHERE project = $1 AND environment = $2 AND revision = $3',
    [promotion.project, promotion.environment, promotion.revision + 1],
  )
  return row?.promoted_by ?? null
}

/** By environment, the run whose promotion over several catalogs has begun and not ended. */
export async function readBegunPromotions(session: Session, project: string): Promise<Map<string, string>> {
  const rows = await session.rows<{ environment: string; run_id: string }>(
    'SELECT environment, run_id FROM millrace.promotion_journal WHERE project = $1 ORDER BY environment',
    [project],
  )
  return new Map(rows.map(({ environment, run_id }) => [environment, run_id]))
}

const LOCK = 'UPDATE millrace.promotion_lock SET uses = uses + 1'

function assertNot(condition: string): string {
  return `SELECT CASE WHEN ${condition} THEN error(${quoteString(PROMOTION_RACE)}) END`
}

function isOtherRevision(promotion: Promotion): string {
  return `coalesce((SELECT revision FROM millrace.environments WHERE ${keyOf(promotion)}), 0) <> ${promotion.revision}`
}

function journal(promotion: Promotion, main?: string): string {
  const place = main === undefined ? '' : `${quoteIdentifier(main)}.`
  return `SELECT 1 FROM ${place}millrace.promotion_journal WHERE ${keyOf(promotion)}`
}

function endJournal(promotion: Promotion): string {
  return `DELETE FROM millrace.promotion_journal WHERE ${keyOf(promotion)}`
}

function keyOf({ project, environment }: Promotion): string {
  return `project = ${quoteString(project)} AND environment = ${quoteString(environment)}`
}

/** @param catalog null: the main database. */
function moves({ views, drops, renames }: Promotion, catalog: string | null): string[] {
  const isHere = (relation: RelationName): boolean => relation.catalog === catalog
  const own = views.filter(({ view }) => isHere(view))
  const schemas = new Set(own.map(({ view }) => view.schema ?? 'main'))
  return [
    ...renames
      .filter(({ relation }) => isHere(relation))
      .map(
        ({ relation, type, to }) =>
          `ALTER ${type === 'table' ? 'TABLE' : 'VIEW'} ${quoteRelation(local(relation))} RENAME TO ${quoteIdentifier(to)}`,
      ),
    ...[...schemas].map((schema) => `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`),
    ...drops.filter(isHere).map((view) => `DROP VIEW IF EXISTS ${quoteRelation(local(view))}`),
    ...own.flatMap(({ view, shows, comments }) => [
      `CREATE OR REPLACE VIEW ${quoteRelation(local(view))} AS SELECT * FROM ${quoteRelation(shows)}`,
      ...(comments === undefined ? [] : commentStatements(local(view), 'VIEW', comments)),
    ]),
  ]
}

/** A view and its table are in one database, which may be attached under any name. */
function local(relation: RelationName): RelationName {
  return { ...relation, catalog: null }
}

function records(promotion: Promotion): string[] {
  const { project, environment, revision, promotedBy, models } = promotion
  const values = [project, environment].map(quoteString).join(', ')
  return [
    `DELETE FROM millrace.environment_models WHERE ${keyOf(promotion)}`,
    ...(models.length === 0 ? [] : [`INSERT INTO millrace.environment_models VALUES ${modelRows(promotion)}`]),
    `DELETE FROM millrace.environments WHERE ${keyOf(promotion)}`,
    `INSERT INTO millrace.environments VALUES (${values}, ${revision + 1}, ${quoteString(promotedBy)}, now()::TIMESTAMP)`,
  ]
}

function modelRows({ project, environment, models }: Promotion): string {
  const literal = (text: string | null): string => (text === null ? 'NULL' : quoteString(text))
  return models
    .map(({ model, version, metadataHash, view }) => {
      const place = [view?.schema ?? null, view?.name ?? null, view?.catalog ?? null]
      return `(${[project, environment, model, version, metadataHash, ...place].map(literal).join(', ')})`
    })
    .join(',\n')
}
