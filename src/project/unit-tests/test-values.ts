/** Plain data of a test's YAML → rows and values. Problems are collected with their lines. */
import { MillraceError, nearest } from '../../errors.ts'
import type { DataPath, YamlFile } from '../yaml-file.ts'
import { PlainTime, type TestRow, type TestValue } from './unit-test.ts'

/** What reading a file needs: its data, its lines, and where its problems go. */
export class TestSource {
  readonly yaml: YamlFile
  readonly problems: MillraceError[] = []

  constructor(yaml: YamlFile) {
    this.yaml = yaml
  }

  lineOf(path: DataPath): number {
    return this.yaml.locate(path).line
  }

  /** @returns null, for whoever reads to go on with the rest. */
  wrong(path: DataPath, message: string, hint?: string): null {
    const place = { file: this.yaml.file, line: this.lineOf(path) }
    this.problems.push(new MillraceError('TEST', message, hint === undefined ? place : { ...place, hint }))
    return null
  }

  /** A mapping; a problem, and null, for anything else. */
  mapping(value: unknown, path: DataPath, known: readonly string[] | null = null): Record<string, unknown> | null {
    if (!isMapping(value))
      return this.wrong(path, `expected '${path.join('.')}' to be a mapping, got ${describe(value)}`)
    for (const key of known === null ? [] : Object.keys(value)) {
      if (known?.includes(key) !== false) continue
      const near = nearest(key, known)
      this.wrong(
        [...path, key],
        `expected a known key in '${path.join('.')}', got '${key}'`,
        `${near === null ? '' : `Did you mean '${near}'? `}Known: ${known.join(', ')}`,
      )
    }
    return value
  }

  /** Absent is null. */
  text(value: unknown, path: DataPath): string | null {
    if (value === undefined || value === null) return null
    if (typeof value === 'string' || typeof value === 'number') return String(value)
    if (value instanceof PlainTime) return value.text
    return this.wrong(path, `expected '${path.join('.')}' to be a text, got ${describe(value)}`)
  }

  rows(value: readonly unknown[], path: DataPath): TestRow[] {
    return value.flatMap((row, index) => {
      if (isMapping(row)) return [lowerKeys(row as Record<string, TestValue>)]
      this.wrong([...path, index], `expected a row, 'column: value' for each column, got ${describe(row)}`)
      return []
    })
  }
}

export interface TestContext {
  source: TestSource
  defaultCatalog: string
  gateways: readonly string[]
  /** Text of a file that a test names; null when it is nowhere. */
  readFile: (path: string) => { path: string; text: string } | null
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof PlainTime)
}

export function lowerKeys<T>(mapping: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(mapping).map(([key, value]) => [key.toLowerCase(), value]))
}

export function describe(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (value instanceof PlainTime) return `'${value.text}'`
  if (typeof value === 'string' || typeof value === 'bigint') return `'${value}'`
  return isMapping(value) ? 'a mapping' : `'${JSON.stringify(value)}'`
}
