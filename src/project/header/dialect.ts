/** Only DuckDB's dialect is spoken here. */
import { MillraceError, type SourceLocation } from '../../errors.ts'
import type { HeaderValue } from './properties.ts'
import { readText } from './values.ts'

/**
 * @param inherited what holds without a header's own, from `model_defaults`; reported at `location`.
 * @throws MillraceError DIALECT for anything but duckdb, case ignored.
 */
export function assertDuckDbDialect(
  value: HeaderValue | undefined,
  inherited: string | undefined,
  location: SourceLocation,
): void {
  if (value !== undefined) assertDialect(readText(value) ?? '', value.source.place(value.tokens[0] ?? value.at))
  else if (inherited !== undefined) assertDialect(inherited, location)
}

/** The dialect a header names, for text the lexer cannot read because it is in that dialect; null when it names none. */
export function dialectByName(text: string): { dialect: string; line: number } | null {
  const match = /^[^;]*?\b(?:MODEL|AUDIT)\s*\([^;]*?\bdialect\s+['"]?(\w+)/i.exec(text.slice(0, 10_000))
  if (match?.[1] === undefined) return null
  return { dialect: match[1], line: match[0].split('\n').length }
}

/** @throws MillraceError DIALECT for anything but duckdb, case ignored. */
export function assertDialect(dialect: string, location: SourceLocation): void {
  if (dialect === '' || dialect.toLowerCase() === 'duckdb') return
  throw new MillraceError('DIALECT', `expected SQL in the dialect duckdb; got '${dialect}'`, {
    ...location,
    hint: "rewrite it in DuckDB's SQL and write dialect duckdb",
  })
}
