/** YAML text → plain data that knows its lines. */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document } from 'yaml'
import { MillraceError, ProjectError, type ErrorCode } from '../errors.ts'

export type DataPath = readonly (string | number)[]

export interface YamlFile {
  file: string
  /** Null for a file that says nothing. */
  value: unknown
  /** The line of the deepest part of the path that the file has, and how many parts that are. */
  locate: (path: DataPath) => { line: number; depth: number }
}

export interface YamlOptions {
  /** Code of the errors. */
  code: ErrorCode
  /** Line of the parsed text → line of the file; default: the same. */
  lineOf?: (line: number) => number
  /** Called with the document before it becomes plain data. */
  edit?: (document: Document.Parsed) => void
}

/** @throws MillraceError or ProjectError with `options.code`: every syntax error, with its line */
export function parseYaml(text: string, file: string, options: YamlOptions): YamlFile {
  const { code, lineOf = (line: number): number => line, edit } = options
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false })
  const toLine = (offset: number): number => lineOf(lines.linePos(offset).line)
  if (document.errors.length > 0) throw new ProjectError(syntaxErrors(document, file, { code, lines, lineOf }))
  edit?.(document)
  return { file, value: toData(document, file, code), locate: (path) => locate(document, path, toLine) }
}

interface SyntaxContext {
  code: ErrorCode
  lines: LineCounter
  lineOf: (line: number) => number
}

/** The first error of each line: what follows on the same line comes of it. */
function syntaxErrors(
  document: Document.Parsed,
  file: string,
  { code, lines, lineOf }: SyntaxContext,
): MillraceError[] {
  const byLine = new Map<number, MillraceError>()
  for (const { message, pos } of document.errors) {
    const { line, col: column } = lines.linePos(pos[0])
    if (byLine.has(line)) continue
    byLine.set(line, new MillraceError(code, `expected YAML, got: ${message}`, { file, line: lineOf(line), column }))
  }
  return [...byLine.values()]
}

function toData(document: Document.Parsed, file: string, code: ErrorCode): unknown {
  try {
    return document.toJS({ maxAliasCount: 1000 }) as unknown
  } catch (error) {
    throw new MillraceError(code, `expected YAML, got: ${error instanceof Error ? error.message : String(error)}`, {
      file,
      line: 1,
      cause: error,
    })
  }
}

function locate(
  document: Document.Parsed,
  path: DataPath,
  toLine: (offset: number) => number,
): { line: number; depth: number } {
  let node: unknown = document.contents
  let offset = document.contents?.range?.[0] ?? 0
  let depth = 0
  for (const part of path) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(part))
      if (pair === undefined) break
      if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      const item: unknown = node.items[Number(part)]
      if (item === undefined) break
      if (isScalar(item) || isMap(item) || isSeq(item)) offset = item.range?.[0] ?? offset
      node = item
    } else break
    depth += 1
  }
  return { line: toLine(offset), depth }
}
