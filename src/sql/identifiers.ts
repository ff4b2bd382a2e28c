/** Quoting of names and values for DuckDB. Pure. */
import type { RelationName } from '../project/model.ts'

/** `name` as a quoted identifier. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** `text` as a string literal. */
export function quoteString(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** Every part that is there, quoted and joined by dots. */
export function quoteRelation(relation: RelationName): string {
  return [relation.catalog, relation.schema, relation.name]
    .filter((part) => part !== null)
    .map(quoteIdentifier)
    .join('.')
}

/** The name as people write it: parts joined by dots, unquoted. */
export function displayName(relation: RelationName): string {
  return [relation.catalog, relation.schema, relation.name].filter((part) => part !== null).join('.')
}
