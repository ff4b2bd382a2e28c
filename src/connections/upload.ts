/** Rows that only this machine can read, for statements of a database elsewhere. */
import { randomUUID } from 'node:crypto'
import { quoteIdentifier } from '../sql/identifiers.ts'
import { rollback, sendScript, type TransactionScope } from './transaction.ts'

/** Rows that come as a table of the database's schema `main`. */
export interface Upload {
  /** Of the table, which must not be there: see {@link uploadName}. */
  name: string
  /** Runs on this machine. */
  query: string
}

/** A name that no other upload has: one whose process died may keep its own until the server has forgotten it. */
export function uploadName(): string {
  return `millrace_upload_${randomUUID().replaceAll('-', '')}`
}

/** How statements of the same transaction name the table. */
export function uploadedTable(name: string): string {
  return `"main".${quoteIdentifier(name)}`
}

/** Statements that put the rows of a query in place of a table. @param table quoted. */
export function replaceBy(table: string, query: string): { uploads: Upload[]; sql: string } {
  const name = uploadName()
  const uploaded = uploadedTable(name)
  return {
    uploads: [{ name, query }],
    sql: `CREATE OR REPLACE TABLE ${table} AS FROM ${uploaded};\nDROP TABLE ${uploaded}`,
  }
}

/**
 * Uploads and statements in one transaction, so that nobody ever sees an upload, whole or half: who dies before the COMMIT leaves
 * nothing but a session that the server forgets.
 * @throws a query's error, the database's; CommitOutcomeUnknown.
 */
export async function runUploads(
  { session, admission }: TransactionScope,
  uploads: readonly Upload[],
  sql: string,
): Promise<void> {
  const leave = await admission?.enter(session.signal)
  try {
    for (const { name, query } of uploads) {
      await session.execute({ sql: query, local: { into: name }, onAbort: 'interrupt' })
    }
    session.signal.throwIfAborted()
    await sendScript(session, `${sql}\n;COMMIT`)
  } catch (error) {
    // What was uploaded before an abort; after anything else nothing is open any more.
    await rollback(session)
    throw error
  } finally {
    leave?.()
  }
}
