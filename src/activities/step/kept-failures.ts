/**
 * Bad rows of audits, kept in tables on request. A blocking audit's rows are rolled back with its step: they leave the transaction in a
 * file, which a rollback does not touch, and become a table after it.
 */
import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Lease } from '../../connections/lease.ts'
import { classifySqlError } from '../../connections/sql-errors.ts'
import type { AuditCall, RelationName } from '../../project/model.ts'
import { untilEnd } from '../../sql/audits.ts'
import { displayName, quoteIdentifier, quoteRelation, quoteString } from '../../sql/identifiers.ts'
import type { StepWork } from './step-work.ts'

const SCHEMA = 'millrace__audit'

/** Rows outside of their transaction. */
export interface SavedRows {
  file: string
  table: RelationName
}

/** What became of an audit's rows: where they are, or why they are nowhere. */
export type Kept = { table: string } | { reason: string }

/** The call says, else millrace.yaml. */
export function keepsFailures(
  { definition }: StepWork,
  { keep_failures: own }: Pick<AuditCall, 'keep_failures'>,
): boolean {
  return own ?? definition.failures?.keep ?? false
}

/** Takes an audit's rows out of the transaction that is about to be rolled back. @returns why not, where they cannot be. */
export async function saveRows(
  session: Pick<Lease, 'run'>,
  work: StepWork,
  { call, query }: { call: AuditCall; query: string },
): Promise<SavedRows | { reason: string }> {
  if (!work.lease.database.capabilities.localFiles)
    return { reason: 'the database does not see the files of this machine' }
  const file = join(tmpdir(), `millrace-audit-${randomUUID()}.parquet`)
  try {
    await session.run(`COPY (${limited(work, query)}) TO ${quoteString(file)} (FORMAT parquet)`)
    return { file, table: failureTable(work, call) }
  } catch (error) {
    work.signal.throwIfAborted()
    await rm(file, { force: true })
    return { reason: classifySqlError(error).message }
  }
}

/** Never fails: the audit's own failure is what counts. */
export async function keepSaved({ lease }: StepWork, saved: SavedRows): Promise<Kept> {
  try {
    return await createKept(lease, saved.table, `FROM read_parquet(${quoteString(saved.file)})`)
  } catch (error) {
    return { reason: classifySqlError(error).message }
  } finally {
    await rm(saved.file, { force: true })
  }
}

/** Of an audit that did not stop its step. Never fails. */
export async function keepRows(work: StepWork, { call, query }: { call: AuditCall; query: string }): Promise<Kept> {
  try {
    return await createKept(work.lease, failureTable(work, call), limited(work, query))
  } catch (error) {
    return { reason: classifySqlError(error).message }
  }
}

async function createKept(lease: Lease, table: RelationName, query: string): Promise<Kept> {
  await lease.run(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(SCHEMA)}`)
  await lease.run(`CREATE OR REPLACE TABLE ${quoteRelation(table)} AS ${query}`)
  return { table: displayName(table) }
}

function limited({ definition }: StepWork, query: string): string {
  return `SELECT * FROM (${untilEnd(query)}) LIMIT ${definition.failures?.rows ?? 10_000}`
}

/** One per call: the second of one audit in a model ends in `__2`. */
function failureTable({ definition }: StepWork, call: AuditCall): RelationName {
  const { audits, relation, kind } = definition.model
  if (kind.name === 'AUDIT') return { catalog: null, schema: SCHEMA, name: call.name }
  const nth = audits.filter(({ name }) => name === call.name).indexOf(call)
  const parts = [relation.schema ?? 'main', relation.name, call.name, ...(nth > 0 ? [String(nth + 1)] : [])]
  return { catalog: null, schema: SCHEMA, name: parts.join('__') }
}
