/** A query whose columns are not those its model declares, or those its table has: what DuckDB says of its symptoms → what is wrong. */
import { classifySqlError } from '../../connections/sql-errors.ts'
import { MillraceError } from '../../errors.ts'
import { hasInterval } from '../../project/model.ts'
import { renderQuery } from '../../project/render-model.ts'
import type { TableColumn } from '../../sql/kinds/kind-write.ts'
import { queryColumns, sourceColumns } from '../../sql/kinds/scd-columns.ts'
import { selectCasts } from '../../sql/materialize.ts'
import { describeQuery, renderOptions, tableColumns, type StepWork } from './step-work.ts'

/**
 * Looks at the columns once a step has failed and its transaction is rolled back: a step that succeeds pays nothing for it.
 * @returns null when they are not the reason, or cannot be told.
 */
export async function explainColumns(work: StepWork, error: unknown): Promise<MillraceError | null> {
  const { model } = work.definition
  const { kind } = classifySqlError(error)
  if (model.query === null || (kind !== 'binder' && kind !== 'conversion')) return null
  try {
    const query = await describeQuery(work.lease, await renderQuery(work.definition, renderOptions(work, 'evaluating')))
    if (kind === 'conversion') return explainCast(work, query, error)
    return explainDeclared(work, query) ?? (await explainTable(work, query))
  } catch {
    // The query itself is wrong, or needs what a statement before it does.
    return null
  }
}

/** A declared column that the query does not return. */
function explainDeclared(work: StepWork, query: readonly TableColumn[]): MillraceError | null {
  const { kind, columns } = work.definition.model
  const declared = queryColumns(kind, columns ?? {})
  const missing = Object.entries(declared).find(([name]) => find(query, name) === undefined)
  if (missing === undefined) return null
  const [name, type] = missing
  return columnsError(work, `the declared column '${name}' (${type}) from its query, which returns ${list(query)}`, {
    hint: 'return it from the query, or remove it from columns (…) in the header',
  })
}

/** A value that a declared column's type cannot hold. */
function explainCast(work: StepWork, query: readonly TableColumn[], error: unknown): MillraceError | null {
  const { message, position } = classifySqlError(error)
  const { kind, columns } = work.definition.model
  const declared = columns === null ? null : queryColumns(kind, columns)
  const shown = position?.text.replaceAll(/^\.\.\.|\.\.\.$/g, '').trim() ?? ''
  // Else it is a cast of the query's own.
  if (declared === null || shown === '' || !selectCasts(declared).includes(shown)) return null
  const name = /casting from source column (.+)$/.exec(message)?.[1]?.toLowerCase()
  const column = name === undefined ? undefined : find(query, name)
  if (name === undefined || column === undefined || !Object.hasOwn(declared, name)) return null
  return columnsError(
    work,
    `values of the declared column '${name}' as ${declared[name]}; its query returns ${column.type}`,
    {
      hint: message,
    },
  )
}

/** Columns that only one has: the query, or the table that earlier steps have filled. */
async function explainTable(work: StepWork, query: readonly TableColumn[]): Promise<MillraceError | null> {
  const { model } = work.definition
  if (!hasInterval(model.kind) || model.columns !== null) return null
  const table = sourceColumns(model.kind, await tableColumns(work.lease, work))
  const lacking = table.filter(({ name }) => find(query, name) === undefined)
  const added = query.filter(({ name }) => find(table, name) === undefined)
  if (lacking.length === 0 && added.length === 0) return null
  const facts = [
    ...(lacking.length === 0 ? [] : [`without ${list(lacking)}`]),
    ...(added.length === 0 ? [] : [`with ${list(added)} besides`]),
  ]
  return columnsError(
    work,
    `the columns of its table from its query: ${list(table)}; got them ${facts.join(' and ')}`,
    {
      hint: `what it reads has changed: name the columns in the query, or build it anew with --full-refresh --select ${model.name}`,
    },
  )
}

function columnsError(
  { definition: { model } }: StepWork,
  expected: string,
  { hint }: { hint: string },
): MillraceError {
  const { file, line, query } = model
  return new MillraceError('COLUMNS', `model '${model.name}': expected ${expected}`, {
    file,
    line: query?.line ?? line,
    hint,
  })
}

function find(columns: readonly TableColumn[], wanted: string): TableColumn | undefined {
  return columns.find(({ name }) => name.toLowerCase() === wanted.toLowerCase())
}

function list(columns: readonly TableColumn[]): string {
  return columns.map(({ name, type }) => `${name} ${type}`).join(', ')
}
