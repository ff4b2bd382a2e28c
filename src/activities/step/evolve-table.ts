/**
 * A table that goes on under another definition gets the columns of its query, in the transaction of the first step that writes it.
 * Only what is `forward_only` has such a table.
 */
import { Context } from '@temporalio/activity'
import { MillraceError } from '../../errors.ts'
import { hasInterval } from '../../project/model.ts'
import {
  alterTable,
  columnChanges,
  describeChange,
  isDestructive,
  type Column,
  type ColumnChange,
} from '../../sql/alter-table.ts'
import { quoteIdentifier } from '../../sql/identifiers.ts'
import { historyColumns, historyQuery, isHistory, sourceColumns } from '../../sql/kinds/scd-columns.ts'
import { typedQuery } from '../../sql/materialize.ts'
import { describeQuery, type StepWork } from './step-work.ts'

export interface Evolution {
  /** Come before the write. */
  statements: string[]
  /** Those that the write fills, with the types they have then. */
  columns: Column[]
  /** Without columns that the table is not to get. */
  query: string
  /** What was changed that is to be told. */
  warnings: string[]
}

/**
 * @param columns of the table as it is.
 * @throws MillraceError SCHEMA_CHANGE for a change that the model's on_destructive_change or on_additive_change refuses.
 */
export async function evolveTable(work: StepWork, columns: readonly Column[], query: string): Promise<Evolution> {
  const { kind } = work.definition.model
  const asIs = { statements: [], columns: [...columns], query, warnings: [] }
  if (kind.forward_only !== true || !hasInterval(kind) || columns.length === 0) return asIs
  const asked = await tableOf(work, query)
  const changes = columnChanges(columns, asked)
  if (changes.length === 0) return asIs
  const refused = changes.filter((change) => ruleOf(work, change) === 'ERROR')
  if (refused.length > 0) throw schemaChange(work, refused)
  const done = changes.filter((change) => ruleOf(work, change) !== 'IGNORE')
  const warned = done.filter((change) => ruleOf(work, change) === 'WARN').map(describeChange)
  const warnings = warned.length === 0 ? [] : [`the table of '${work.step.model}' is altered: ${warned.join(', ')}`]
  for (const warning of warnings) Context.current().log.warn(warning)
  const ignored = changes.filter((change) => ruleOf(work, change) === 'IGNORE')
  return {
    statements: done.map((change) => alterTable(work.table, change)),
    columns: evolved(columns, done, ignored),
    query: withoutColumns(query, sourceColumns(kind, asked), ignored),
    warnings,
  }
}

function ruleOf({ definition: { model } }: StepWork, change: ColumnChange): string {
  const { on_destructive_change: destructive = 'ERROR', on_additive_change: additive = 'ALLOW' } = model.kind
  return isDestructive(change) ? destructive : additive
}

/** Those that a new table of the model would have. Declared columns do not need the query, which may need statements that come before it. */
async function tableOf({ lease, definition: { model } }: StepWork, query: string): Promise<Column[]> {
  const { kind, columns } = model
  const history = isHistory(kind)
  if (columns === null)
    return describeQuery(lease, `SELECT * FROM (\n${history ? historyQuery(kind, query) : query}\n) AS asked`)
  const declared = history ? historyColumns(kind, columns) : columns
  const nulls = Object.keys(declared).map((name) => `NULL AS ${quoteIdentifier(name)}`)
  return describeQuery(lease, typedQuery(`SELECT ${nulls.join(', ')}`, declared))
}

/** A column that stays although the query has it no more is left out: it gets NULL. */
function evolved(
  columns: readonly Column[],
  done: readonly ColumnChange[],
  ignored: readonly ColumnChange[],
): Column[] {
  const gone = new Set([...done, ...ignored].flatMap(({ change, column }) => (change === 'dropped' ? [column] : [])))
  const types = new Map(done.flatMap((change) => (change.change === 'dropped' ? [] : [[change.column, change.type]])))
  const added = done.flatMap((change) =>
    change.change === 'added' ? [{ name: change.column, type: change.type }] : [],
  )
  const kept = columns.filter(({ name }) => !gone.has(name))
  return [...kept.map(({ name, type }) => ({ name, type: types.get(name) ?? type })), ...added]
}

function withoutColumns(query: string, asked: readonly Column[], ignored: readonly ColumnChange[]): string {
  const left = new Set(ignored.flatMap(({ change, column }) => (change === 'added' ? [column] : [])))
  if (left.size === 0) return query
  const names = asked.filter(({ name }) => !left.has(name)).map(({ name }) => quoteIdentifier(name))
  return `SELECT ${names.join(', ')} FROM (\n${query}\n) AS evolved`
}

function schemaChange({ definition: { model } }: StepWork, refused: readonly ColumnChange[]): MillraceError {
  const destructive = refused.some(isDestructive)
  const option = destructive ? 'on_destructive_change' : 'on_additive_change'
  return new MillraceError(
    'SCHEMA_CHANGE',
    `model '${model.name}' goes on in its table, but its query ${refused.map(describeChange).join(', ')}; ${option} is error, and nothing was changed`,
    {
      file: model.file,
      line: model.line,
      hint: `set ${option} to allow, warn or ignore; or build a new table of all its history with --full-refresh --select ${model.name}`,
    },
  )
}
