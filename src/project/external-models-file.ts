/** The text of external_models.yaml with the columns of tables in it: what people wrote stays as and where it is. */
import { isMap, isScalar, isSeq, parseDocument, YAMLSeq, type Document, type YAMLMap } from 'yaml'
import { RESERVED_WORDS } from '../sql/reserved-words.ts'
import { normalizeName } from './external-models.ts'

export interface FoundTable {
  /** Normalized. */
  name: string
  /** Column → type, in the table's order. */
  columns: Readonly<Record<string, string>>
}

export interface MergedFile {
  text: string
  added: string[]
  /** Entries whose columns are other ones now. */
  updated: string[]
}

/**
 * Entries for all gateways and for `gateway` get the columns of their tables; those of other gateways, and of tables that are not
 * among `tables`, stay as they are.
 * @param text of the file, which has loaded; empty for a new one. @param elsewhere names that have an entry in another file.
 */
export function mergeExternalModels(
  text: string,
  tables: readonly FoundTable[],
  { gateway, defaultCatalog, elsewhere }: { gateway: string; defaultCatalog: string; elsewhere: ReadonlySet<string> },
): MergedFile {
  const document = parseDocument(text)
  const list = isSeq(document.contents) ? (document.contents as YAMLSeq) : new YAMLSeq()
  const merged: MergedFile = { text, added: [], updated: [] }
  for (const table of tables) {
    const named = entriesOf(list, table.name, defaultCatalog)
    const own = named.filter((entry) => ownGateway(entry, gateway))
    for (const entry of own) if (setColumns(document, entry, table)) merged.updated.push(table.name)
    if (own.length > 0 || elsewhere.has(table.name)) continue
    const columns = document.createNode(table.columns)
    const entry = document.createNode({
      name: writtenName(table.name),
      ...(named.length === 0 ? {} : { gateway }),
    }) as YAMLMap
    entry.set('columns', columns)
    list.add(entry)
    merged.added.push(table.name)
  }
  if (merged.added.length + merged.updated.length === 0) return merged
  list.flow = false
  if (document.contents !== list) document.contents = list as never
  return { ...merged, text: document.toString({ lineWidth: 0 }) }
}

function entriesOf(list: YAMLSeq, name: string, defaultCatalog: string): YAMLMap[] {
  return list.items.filter((item): item is YAMLMap => {
    if (!isMap(item)) return false
    const written = normalizeName(String(item.get('name')))
    return written === name || written === `${defaultCatalog.toLowerCase()}.${name}`
  })
}

function ownGateway(entry: YAMLMap, gateway: string): boolean {
  const given = entry.get('gateway')
  return typeof given !== 'string' || given.toLowerCase() === gateway
}

/** @returns whether anything is different now. A type that means the same as the table's stays as it is written. */
function setColumns(document: Document, entry: YAMLMap, { columns }: FoundTable): boolean {
  const present = entry.get('columns')
  if (!isMap(present)) {
    entry.set('columns', document.createNode(columns))
    return true
  }
  let changed = false
  const names = new Set(Object.keys(columns))
  for (const key of present.items.map((pair) => pair.key)) {
    const name = String(isScalar(key) ? key.value : key)
    const type = columns[name.toLowerCase()]
    names.delete(name.toLowerCase())
    if (type === undefined) present.delete(key)
    else if (String(present.get(key)).toUpperCase() !== type.toUpperCase()) present.set(key, type)
    else continue
    changed = true
  }
  for (const name of names) present.set(name, columns[name])
  return changed || names.size > 0
}

/** Parts that are no plain words in quotes. */
function writtenName(name: string): string {
  return name
    .split('.')
    .map((part) => (/^[a-z_][a-z0-9_]*$/.test(part) && !RESERVED_WORDS.has(part) ? part : `"${part}"`))
    .join('.')
}
