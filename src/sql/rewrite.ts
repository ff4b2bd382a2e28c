/**
 * A query's text with other tables in it: names of models become their physical tables or, for embedded models, sub-queries.
 * Only the names change; everything else stays exactly as written. Pure.
 */
import type { RelationName } from '../project/model.ts'
import { displayName, quoteIdentifier, quoteString } from './identifiers.ts'
import type { QueryReferences, TableReference } from './references.ts'

export interface Replacements {
  /** SQL to stand for a table (`"s"."t"` or `(SELECT …)`), or null to leave it. */
  table(relation: RelationName): string | null
  /** An absolute path for a relative one, or null to leave it. */
  path(path: string): string | null
}

interface Edit {
  start: number
  end: number
  text: string
}

export function rewriteTables(sql: string, references: QueryReferences, replacements: Replacements): string {
  const edits: Edit[] = []
  const aliases = new Map<string, string>()
  const named = new Set(references.tables.map((table) => table.alias ?? table.relation.name))
  for (const table of references.tables) {
    if (table.isFile) {
      const path = replacements.path(table.relation.name)
      if (path !== null) edits.push({ ...table, text: `${quoteString(path)}${aliasFor(table, fileAlias(table))}` })
      continue
    }
    const replacement = replacements.table(table.relation)
    if (replacement === null) continue
    const alias = ambiguous(table, references.tables) ? displayName(table.relation) : table.relation.name
    if (table.alias === null) aliases.set(displayName(table.relation), alias)
    edits.push({ start: table.start, end: table.end, text: `${replacement}${aliasFor(table, alias)}` })
  }
  for (const column of references.columns) {
    // `s.t.x` may also be a field of a column of a table called `s`: then the name in the query decides.
    if (named.has(column.relation.schema ?? '')) continue
    const whole = column.withCatalog === null ? undefined : aliases.get(displayName(column.withCatalog.relation))
    const alias =
      whole ?? aliases.get(displayName(column.relation)) ?? aliases.get(withoutCatalog(column.relation, aliases))
    const end = whole === undefined ? column.end : (column.withCatalog?.end ?? column.end)
    if (alias !== undefined) edits.push({ start: column.start, end, text: quoteIdentifier(alias) })
  }
  for (const literal of references.paths) {
    const path = replacements.path(literal.path)
    if (path !== null) edits.push({ start: literal.start, end: literal.end, text: quoteString(path) })
  }
  return applyEdits(sql, edits)
}

/** The one table `c.s.t` that `s.t` means. */
function withoutCatalog(relation: RelationName, aliases: ReadonlyMap<string, string>): string {
  const ends = `.${displayName(relation)}`
  const found = [...aliases.keys()].filter((name) => name.endsWith(ends))
  return found.length === 1 ? (found[0] ?? '') : ''
}

/** Two unaliased tables of one name in different schemas cannot both be called by that name. */
function ambiguous(table: TableReference, tables: readonly TableReference[]): boolean {
  return tables.some(
    (other) =>
      other.alias === null &&
      other.relation.name === table.relation.name &&
      displayName(other.relation) !== displayName(table.relation),
  )
}

function aliasFor(table: TableReference, alias: string): string {
  return table.alias === null ? ` AS ${quoteIdentifier(alias)}` : ''
}

/** DuckDB names a file's table after the file, without folder and extension. */
function fileAlias(table: TableReference): string {
  const base = table.relation.name.replace(/^.*[/\\]/, '')
  return base.replace(/\..*$/, '') || base
}

function applyEdits(sql: string, edits: Edit[]): string {
  let result = ''
  let position = 0
  for (const edit of edits.sort((a, b) => a.start - b.start)) {
    result += sql.slice(position, edit.start) + edit.text
    position = edit.end
  }
  return result + sql.slice(position)
}
