/**
 * Which tables a query reads, and where in its text, from DuckDB's own syntax tree (`json_serialize_sql`).
 * Pure: the tree is made elsewhere.
 */
import type { RelationName } from '../project/model.ts'
import { isToken, tokenize, type Token } from './lexer.ts'

/** A node of DuckDB's serialized syntax tree. */
export interface TreeNode {
  [key: string]: unknown
}

/** One place in a query's text that names a table. Offsets are UTF-16 code units of the text. */
export interface TableReference {
  relation: RelationName
  /** The name stands for a file (`FROM 'x.parquet'`); `relation.name` is its path as written. */
  isFile: boolean
  start: number
  end: number
  /** The alias the query gives it; null when it gives none. */
  alias: string | null
}

/** A column written with its table's schema (`s.t.x`): the qualifier's place, which a new table name would break. */
export interface QualifiedColumn {
  relation: RelationName
  start: number
  end: number
  /** The same with a catalog before it (`c.s.t.x`), which `s.t.x.field` may be, too; null where there are fewer names. */
  withCatalog: { relation: RelationName; end: number } | null
}

/** A literal path in a table function such as `read_csv('x.csv')`. */
export interface PathLiteral {
  path: string
  start: number
  end: number
}

export interface QueryReferences {
  tables: TableReference[]
  columns: QualifiedColumn[]
  paths: PathLiteral[]
}

const FILE_FUNCTION = /^(read_|parquet_|sniff_csv|glob$|st_read)/
const FILE_NAME = /[/\\*]|\.(parquet|csv|tsv|json|jsonl|ndjson|xlsx|arrow|gz|zst)$/i

/** Everything in `tree` (of `sql`) that reads a table, common table expressions left out by scope. */
export function findReferences(sql: string, tree: TreeNode): QueryReferences {
  const found: QueryReferences = { tables: [], columns: [], paths: [] }
  const at = createTextIndex(sql)
  walk(tree, new Set(), { found, at })
  found.tables.sort((a, b) => a.start - b.start)
  return found
}

/** The distinct relations of `references`, in order of appearance. */
export function distinctRelations(references: QueryReferences): TableReference[] {
  const seen = new Map<string, TableReference>()
  for (const table of references.tables) {
    const key = JSON.stringify([table.relation, table.isFile])
    if (!seen.has(key)) seen.set(key, table)
  }
  return [...seen.values()]
}

interface Walk {
  found: QueryReferences
  at: TextIndex
}

/** `scope`: names of the common table expressions visible here, lower case. */
function walk(value: unknown, scope: ReadonlySet<string>, context: Walk): void {
  if (Array.isArray(value)) {
    for (const item of value) walk(item, scope, context)
    return
  }
  if (!isNode(value)) return
  // What is empty or default is left out of the tree.
  if (value['type'] === 'BASE_TABLE') addTable(value, scope, context)
  else if (value['type'] === 'COLUMN_REF') addColumn(value, context)
  else if (value['type'] === 'TABLE_FUNCTION') addPaths(value, context)

  const inner = innerScope(value, scope, context)
  for (const [key, child] of Object.entries(value)) if (key !== 'cte_map') walk(child, inner, context)
}

/** The scope inside of a node, whose common table expressions are walked on the way. */
function innerScope(node: TreeNode, scope: ReadonlySet<string>, context: Walk): ReadonlySet<string> {
  const expressions = commonTableExpressions(node)
  const recursive = node['cte_name']
  if (expressions.length === 0 && typeof recursive !== 'string') return scope
  const inner = new Set(scope)
  if (typeof recursive === 'string') inner.add(recursive.toLowerCase())
  for (const [name, query] of expressions) {
    // An expression sees the ones before it; itself only when it is recursive, which its node says with `cte_name`.
    walk(query, inner, context)
    inner.add(name.toLowerCase())
  }
  return inner
}

function commonTableExpressions(node: TreeNode): [string, unknown][] {
  const map = isNode(node['cte_map']) ? node['cte_map']['map'] : null
  if (!Array.isArray(map)) return []
  return map.filter(isNode).map((entry) => [String(entry['key']), entry['value']])
}

function addTable(node: TreeNode, scope: ReadonlySet<string>, { found, at }: Walk): void {
  const part = (key: string): string | null => {
    const value = node[key]
    return typeof value === 'string' && value !== '' ? value : null
  }
  const name = String(node['table_name'])
  const relation = { catalog: part('catalog_name'), schema: part('schema_name'), name }
  const bare = relation.catalog === null && relation.schema === null
  if (bare && scope.has(name.toLowerCase())) return
  const place = at.nameAt(node['query_location'], 3)
  if (place === null) return
  const isFile = bare && (place.first.type === 'string' || (place.first.type === 'quoted' && FILE_NAME.test(name)))
  found.tables.push({
    relation: isFile ? relation : lowerCase(relation),
    isFile,
    start: place.start,
    end: place.end,
    alias: part('alias'),
  })
}

function addColumn(node: TreeNode, { found, at }: Walk): void {
  const names = Array.isArray(node['column_names']) ? node['column_names'].map(String) : []
  if (names.length < 3) return
  const place = at.nameAt(node['query_location'], 2)
  if (place === null) return
  const [first = null, second = '', third = ''] = names
  const whole = names.length < 4 ? null : at.nameAt(node['query_location'], 3)
  found.columns.push({
    relation: lowerCase({ catalog: null, schema: first, name: second }),
    start: place.start,
    end: place.end,
    withCatalog:
      whole === null ? null : { relation: lowerCase({ catalog: first, schema: second, name: third }), end: whole.end },
  })
}

function addPaths(node: TreeNode, { found, at }: Walk): void {
  const call = isNode(node['function']) ? node['function'] : null
  if (call === null || !FILE_FUNCTION.test(String(call['function_name']))) return
  for (const literal of stringConstants(call['children'])) {
    const token = at.tokenAt(literal['query_location'])
    if (token?.type === 'string') found.paths.push({ path: token.value, start: token.start, end: token.end })
  }
}

/** String constants among the positional arguments, those in a list too; named arguments are options, not paths. */
function stringConstants(value: unknown): TreeNode[] {
  if (Array.isArray(value)) return value.flatMap(stringConstants)
  if (!isNode(value)) return []
  if (value['type'] === 'VALUE_CONSTANT') return [value]
  if (value['function_name'] === 'list_value') return stringConstants(value['children'])
  return []
}

function isNode(value: unknown): value is TreeNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function lowerCase({ catalog, schema, name }: RelationName): RelationName {
  return {
    catalog: catalog?.toLowerCase() ?? null,
    schema: schema?.toLowerCase() ?? null,
    name: name.toLowerCase(),
  }
}

interface NamePlace {
  first: Token
  start: number
  end: number
}

interface TextIndex {
  tokenAt(location: unknown): Token | null
  /** The dotted name of at most `parts` parts that starts at a location. */
  nameAt(location: unknown, parts: number): NamePlace | null
}

/** The tree's locations are byte offsets of the UTF-8 text; the lexer's are code units. */
function createTextIndex(sql: string): TextIndex {
  const tokens = tokenize(sql).filter((token) => token.type !== 'comment')
  const byOffset = new Map<number, number>()
  let bytes = 0
  let units = 0
  tokens.forEach((token, index) => {
    bytes += utf8Length(sql.slice(units, token.start))
    units = token.start
    byOffset.set(bytes, index)
  })
  const indexAt = (location: unknown): number | null => byOffset.get(Number(location)) ?? null
  return {
    tokenAt(location) {
      const index = indexAt(location)
      return index === null ? null : (tokens[index] ?? null)
    },
    nameAt(location, parts) {
      const index = indexAt(location)
      const first = index === null ? undefined : tokens[index]
      if (index === null || first === undefined) return null
      let last = first
      for (let part = 1; part < parts && isToken(tokens[index + 2 * part - 1], '.'); part++) {
        last = tokens[index + 2 * part] ?? last
      }
      return { first, start: first.start, end: last.end }
    },
  }
}

function utf8Length(text: string): number {
  let length = 0
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0
    length += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4
  }
  return length
}
