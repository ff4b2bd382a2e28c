/** Descriptions of models and columns → comments in the database's catalog. Pure. */
import type { Model, RelationName } from '../project/model.ts'
import { quoteIdentifier, quoteRelation, quoteString } from './identifiers.ts'

export interface Comments {
  description: string | null
  /** By column. */
  columns: Record<string, string>
}

/** Null for a model that describes nothing. */
export function commentsOf(model: Pick<Model, 'description' | 'column_descriptions'>): Comments | null {
  const { description, column_descriptions: columns } = model
  return description === null && Object.keys(columns).length === 0 ? null : { description, columns }
}

/** The comments on columns that are there: what a model describes besides is no reason to fail. */
export function onColumns(comments: Comments, existing: Iterable<string>): Comments {
  const names = new Map([...existing].map((name) => [name.toLowerCase(), name]))
  const columns = Object.entries(comments.columns).flatMap(([name, text]) => {
    const found = names.get(name.toLowerCase())
    return found === undefined ? [] : [[found, text] as const]
  })
  return { ...comments, columns: Object.fromEntries(columns) }
}

/** @param comments on columns that are there. */
export function commentStatements(
  relation: RelationName,
  type: 'TABLE' | 'VIEW',
  { description, columns }: Comments,
): string[] {
  const name = quoteRelation(relation)
  return [
    ...(description === null ? [] : [`COMMENT ON ${type} ${name} IS ${quoteString(description)}`]),
    ...Object.entries(columns).map(
      ([column, text]) => `COMMENT ON COLUMN ${name}.${quoteIdentifier(column)} IS ${quoteString(text)}`,
    ),
  ]
}
