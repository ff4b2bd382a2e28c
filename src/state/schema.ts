/**
 * The state: schema `millrace` in each database that holds models. It carries a version; an older one is migrated
 * forward in one transaction, a newer one is refused.
 */
import type { Lease } from '../connections/lease.ts'
import { MillraceError } from '../errors.ts'

/** Migration n brings a state of version n to version n + 1; the first makes it from nothing. Never edit one that was released. */
const MIGRATIONS: readonly string[] = [
  `
  CREATE SCHEMA IF NOT EXISTS millrace;
  CREATE TABLE millrace.schema_version (version INTEGER NOT NULL);
  INSERT INTO millrace.schema_version VALUES (0);

  -- Whoever moves or drops what views stand on updates this row first: two of them cannot both commit.
  CREATE TABLE millrace.promotion_lock (uses BIGINT NOT NULL);
  INSERT INTO millrace.promotion_lock VALUES (0);

  CREATE TABLE millrace.versions (
    version VARCHAR PRIMARY KEY, project VARCHAR NOT NULL, model VARCHAR NOT NULL, kind VARCHAR NOT NULL,
    fingerprint VARCHAR NOT NULL, fingerprint_format INTEGER NOT NULL,
    physical_schema VARCHAR, physical_name VARCHAR, created_at TIMESTAMP NOT NULL);
  CREATE TABLE millrace.definitions (
    definition VARCHAR PRIMARY KEY, project VARCHAR NOT NULL, model VARCHAR NOT NULL, body VARCHAR NOT NULL);

  -- One row per version; steps that must be serial update it first.
  CREATE TABLE millrace.fences (version VARCHAR PRIMARY KEY, steps BIGINT NOT NULL);

  -- One row per interval unit of a version: two overlapping attempts cannot both commit.
  -- Kinds without a history of their own have one row for all they cover.
  CREATE TABLE millrace.ledger (
    version VARCHAR NOT NULL, unit_start TIMESTAMP NOT NULL, unit_end TIMESTAMP NOT NULL,
    step VARCHAR NOT NULL, inputs VARCHAR NOT NULL, PRIMARY KEY (version, unit_start));
  -- What each committed step did, written in its own transaction.
  CREATE TABLE millrace.steps (
    step VARCHAR PRIMARY KEY, workflow_id VARCHAR NOT NULL, run_id VARCHAR NOT NULL, step_index INTEGER NOT NULL,
    model VARCHAR NOT NULL, version VARCHAR NOT NULL, result VARCHAR NOT NULL, recorded_at TIMESTAMP NOT NULL);
  -- Audits that do not block run after the commit of their step, failed steps have none.
  CREATE TABLE millrace.audit_warnings (step VARCHAR PRIMARY KEY, audits VARCHAR NOT NULL);
  CREATE TABLE millrace.failures (
    step VARCHAR PRIMARY KEY, workflow_id VARCHAR NOT NULL, run_id VARCHAR NOT NULL, failure VARCHAR NOT NULL);

  CREATE TABLE millrace.environments (
    project VARCHAR NOT NULL, environment VARCHAR NOT NULL, revision BIGINT NOT NULL,
    promoted_by VARCHAR NOT NULL, promoted_at TIMESTAMP NOT NULL, PRIMARY KEY (project, environment));
  CREATE TABLE millrace.environment_models (
    project VARCHAR NOT NULL, environment VARCHAR NOT NULL, model VARCHAR NOT NULL, version VARCHAR NOT NULL,
    metadata_hash VARCHAR NOT NULL, view_schema VARCHAR, view_name VARCHAR);

  CREATE TABLE millrace.running_builds (
    project VARCHAR NOT NULL, environment VARCHAR NOT NULL, workflow_id VARCHAR NOT NULL, run_id VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL, PRIMARY KEY (project, environment));
  CREATE TABLE millrace.builds (
    run_id VARCHAR PRIMARY KEY, workflow_id VARCHAR NOT NULL, project VARCHAR NOT NULL, environment VARCHAR NOT NULL,
    status VARCHAR NOT NULL, promoted BOOLEAN NOT NULL, started_at TIMESTAMP NOT NULL, ended_at TIMESTAMP,
    plan VARCHAR NOT NULL, promotion VARCHAR NOT NULL);
  CREATE TABLE millrace.build_models (
    run_id VARCHAR NOT NULL, position INTEGER NOT NULL, model VARCHAR NOT NULL, report VARCHAR NOT NULL);
  `,
  `
  -- NULL: the view is in this database.
  ALTER TABLE millrace.environment_models ADD COLUMN view_catalog VARCHAR;

  -- In the main database: builds whose promotion over several catalogs was begun and has not ended.
  CREATE TABLE millrace.promotion_journal (
    project VARCHAR NOT NULL, environment VARCHAR NOT NULL, run_id VARCHAR NOT NULL,
    begun_at TIMESTAMP NOT NULL, PRIMARY KEY (project, environment));
  `,
  `
  -- What was asked for, as JSON; NULL for builds of before.
  ALTER TABLE millrace.builds ADD COLUMN input VARCHAR;

  -- Builds that wait for their environment, in the order of their positions.
  CREATE TABLE millrace.build_queue (
    project VARCHAR NOT NULL, environment VARCHAR NOT NULL, position BIGINT NOT NULL,
    workflow_id VARCHAR NOT NULL, run_id VARCHAR PRIMARY KEY, entered_at TIMESTAMP NOT NULL);

  -- The steps of running builds, in slices that fit into a payload.
  CREATE TABLE millrace.plan_slices (
    run_id VARCHAR NOT NULL, ordinal INTEGER NOT NULL, steps VARCHAR NOT NULL, PRIMARY KEY (run_id, ordinal));
  `,
  `
  -- What is recorded of a version, but was asked to be built again and has not been; a range without time stands for all of it.
  -- replaced_by: the version that is built in its place.
  CREATE TABLE millrace.restatements (
    version VARCHAR NOT NULL, range_start TIMESTAMP NOT NULL, range_end TIMESTAMP NOT NULL, replaced_by VARCHAR);

  -- Up to when the auto_restatement_cron of a version was heeded.
  CREATE TABLE millrace.auto_restatements (version VARCHAR PRIMARY KEY, heeded_at TIMESTAMP NOT NULL);
  `,
]

export const STATE_VERSION = MIGRATIONS.length

/** The version of the state in the lease's database; 0 when there is none. */
export async function readStateVersion(lease: Pick<Lease, 'rows'>): Promise<number> {
  const [table] = await lease.rows(
    `SELECT 1 AS found FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = 'millrace' AND table_name = 'schema_version'`,
  )
  if (table === undefined) return 0
  const [row] = await lease.rows<{ version: number }>('SELECT version FROM millrace.schema_version')
  return row?.version ?? 0
}

/** @throws MillraceError STATE_NEWER when a newer Millrace wrote the state. */
export function assertStateReadable(version: number): void {
  if (version <= STATE_VERSION) return
  throw new MillraceError(
    'STATE_NEWER',
    `expected a state of version ${STATE_VERSION} or older; the database's is of version ${version}, made by a newer Millrace`,
    { hint: 'upgrade Millrace on this machine' },
  )
}

/**
 * Creates the state or migrates it forward, all in one transaction.
 * @throws MillraceError STATE_NEWER when a newer Millrace wrote the state.
 */
export async function ensureState(lease: Lease): Promise<void> {
  const version = await readStateVersion(lease)
  assertStateReadable(version)
  if (version === STATE_VERSION) return
  const { uniqueKeys } = lease.database.capabilities
  const migrations = MIGRATIONS.slice(version)
    .map((sql) => (uniqueKeys ? sql : withoutKeys(sql)))
    .join('\n')
  try {
    await lease.script(`${migrations} UPDATE millrace.schema_version SET version = ${STATE_VERSION}`)
  } catch (error) {
    // Two builds of a new database make it at one moment: the second finds what it wanted.
    if ((await readStateVersion(lease)) !== STATE_VERSION) throw error
  }
}

/** For databases that have no keys: there one transaction writes at a time, and what a key would refuse is looked up in it. */
function withoutKeys(sql: string): string {
  return sql.replaceAll(/, PRIMARY KEY \([^)]*\)| PRIMARY KEY/g, '')
}
