/** The rows of an input or output: a list, a query, CSV text, or a file of either. */
import type { DataPath } from '../yaml-file.ts'
import { describe, isMapping, type TestContext } from './test-values.ts'
import { parseTestYaml } from './test-yaml.ts'
import type { RowSource } from './unit-test.ts'

const KEYS = ['rows', 'query', 'format', 'path', 'csv_settings']

/** Null when something is wrong; the source has the problem. @param more keys that may stand beside. */
export function readRows(
  value: unknown,
  path: DataPath,
  context: TestContext,
  more: readonly string[],
): RowSource | null {
  const { source } = context
  if (Array.isArray(value)) return { type: 'rows', rows: source.rows(value, path) }
  const given = source.mapping(value, path, [...KEYS, ...more])
  if (given === null) return null
  const { rows, query, format } = given
  if (query !== undefined && query !== null) {
    if (rows !== undefined) return source.wrong([...path, 'rows'], `expected 'query' or 'rows', got both`)
    const sql = source.text(query, [...path, 'query'])
    return sql === null ? null : { type: 'query', sql }
  }
  const file = source.text(given['path'], [...path, 'path'])
  if (format === 'csv') return readCsv(given, file, path, context)
  if (format !== undefined && format !== null && format !== 'yaml')
    return source.wrong([...path, 'format'], `expected the format 'yaml' or 'csv', got ${describe(format)}`)
  if (file !== null) return readYamlFile(file, path, context)
  if (Array.isArray(rows)) return { type: 'rows', rows: source.rows(rows, [...path, 'rows']) }
  return source.wrong(
    path,
    `expected rows in '${path.join('.')}', got ${describe(rows)}`,
    'give `rows`, a `query` or a `path`',
  )
}

function readCsv(
  given: Record<string, unknown>,
  file: string | null,
  path: DataPath,
  context: TestContext,
): RowSource | null {
  const { source } = context
  const settings = given['csv_settings'] ? (source.mapping(given['csv_settings'], [...path, 'csv_settings']) ?? {}) : {}
  const read = Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [
      key === 'sep' ? 'delimiter' : key,
      typeof value === 'boolean' ? value : String(value),
    ]),
  )
  if (file !== null) {
    const found = context.readFile(file)
    if (found === null) return missingFile(file, path, context)
    return { type: 'csv', text: null, path: found.path, settings: read }
  }
  const text = source.text(given['rows'], [...path, 'rows'])
  if (text === null) return source.wrong(path, `expected CSV text in 'rows' or a file in 'path'`)
  return { type: 'csv', text, path: null, settings: read }
}

/** A list of rows, or a mapping whose `rows` are the list. */
function readYamlFile(file: string, path: DataPath, context: TestContext): RowSource | null {
  const { source } = context
  const found = context.readFile(file)
  if (found === null) return missingFile(file, path, context)
  const { value } = parseTestYaml(found.text, file, {})
  const rows = isMapping(value) ? value['rows'] : value
  if (Array.isArray(rows)) return { type: 'rows', rows: source.rows(rows, [...path, 'path']) }
  return source.wrong([...path, 'path'], `expected a list of rows in '${file}', got ${describe(rows)}`)
}

function missingFile(file: string, path: DataPath, { source }: TestContext): null {
  return source.wrong(
    [...path, 'path'],
    `expected a file '${file}'; there is none`,
    "paths are relative to the project's folder",
  )
}
