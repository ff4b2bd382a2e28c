/** A model's descriptions as comments on its physical table; a model without any pays nothing for them. */
import { classifySqlError } from '../../connections/sql-errors.ts'
import { commentsOf, commentStatements, onColumns, type Comments } from '../../sql/comments.ts'
import { quoteString } from '../../sql/identifiers.ts'
import type { TableColumn } from '../../sql/kinds/kind-write.ts'
import { joinStatements } from './script-text.ts'
import { describeQuery, type StepWork } from './step-work.ts'

/** Statements for the end of the transaction of a step that replaces its table or view, and the comments with it. */
export async function replacedComments(work: StepWork, query: string): Promise<string[]> {
  const { definition, table, lease } = work
  const comments = commentsOf(definition.model)
  if (comments === null) return []
  const isView = definition.model.kind.name === 'VIEW'
  const hasColumns = !isView || lease.database.capabilities.viewColumnComments
  const columns = hasColumns && Object.keys(comments.columns).length > 0 ? await columnsOf(work, query) : []
  const existing = columns.map(({ name }) => name)
  return commentStatements(table, isView ? 'VIEW' : 'TABLE', onColumns(comments, existing))
}

/** Declared ones need no question. A query that cannot be looked at alone, e.g. since a statement before it makes what it reads, has none. */
async function columnsOf({ definition, lease }: StepWork, query: string): Promise<TableColumn[]> {
  const declared = definition.model.columns
  if (declared !== null) return Object.entries(declared).map(([name, type]) => ({ name, type }))
  try {
    return await describeQuery(lease, query)
  } catch {
    return []
  }
}

/** Comments on a table that is kept: made once, and again when a description has changed. @param columns of the table. */
export async function keepComments(work: StepWork, columns: readonly TableColumn[]): Promise<void> {
  const { definition, table, lease, project, step } = work
  const all = commentsOf(definition.model)
  if (all === null) return
  const comments = onColumns(
    all,
    columns.map(({ name }) => name),
  )
  let own = false
  try {
    // Other batches of the model ask at the same time.
    await project.together(`comments on ${step.version}`, async () => {
      own = true
      if (isSame(comments, await readComments(work))) return
      await lease.script(joinStatements(commentStatements(table, 'TABLE', comments)))
    })
  } catch (error) {
    // Somebody else writes to the table, or the batch that asked was cancelled: a later step finds that they are missing still.
    if (own && classifySqlError(error).kind !== 'conflict') throw error
  }
}

async function readComments({ lease, table }: StepWork): Promise<Comments> {
  const place = `database_name = current_database() AND schema_name = ${quoteString(table.schema ?? 'main')} AND table_name = ${quoteString(table.name)}`
  const rows = await lease.rows<{ column_name: string | null; comment: string | null }>(
    `SELECT NULL AS column_name, comment FROM duckdb_tables() WHERE ${place}
     UNION ALL SELECT column_name, comment FROM duckdb_columns() WHERE ${place} AND comment IS NOT NULL`,
  )
  const columns = rows.flatMap(({ column_name, comment }) =>
    column_name === null || comment === null ? [] : [[column_name, comment] as const],
  )
  const whole = rows.find(({ column_name }) => column_name === null)
  return { description: whole?.comment ?? null, columns: Object.fromEntries(columns) }
}

function isSame(wanted: Comments, found: Comments): boolean {
  if (wanted.description !== null && wanted.description !== found.description) return false
  return Object.entries(wanted.columns).every(([name, text]) => found.columns[name] === text)
}
