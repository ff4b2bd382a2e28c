/** How names of relations are written and compared within a project. Pure. */
import { displayName } from '../sql/identifiers.ts'
import type { TableReference } from '../sql/references.ts'
import type { RelationName } from './model.ts'

/** The name of what a query reads as `depends_on` lists it: the default catalog left out, a file by its path. */
export function relationKey(table: TableReference, defaultCatalog: string): string {
  return table.isFile ? table.relation.name : normalizedName(table.relation, defaultCatalog)
}

/** Parts joined by dots, the default catalog left out. */
export function normalizedName(relation: RelationName, defaultCatalog: string): string {
  return displayName(relation.catalog === defaultCatalog.toLowerCase() ? { ...relation, catalog: null } : relation)
}

/** Names of DuckDB's own views, which every database has. */
export function isSystemName(name: string): boolean {
  return SYSTEM_NAME.test(name)
}

const SYSTEM_NAME = /^(information_schema|pg_catalog)\.|^(main\.)?(duckdb_\w+|sqlite_\w+|pragma_\w+)$/
