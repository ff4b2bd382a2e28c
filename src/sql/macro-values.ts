/** How variables read where they stand: as SQL, in names, in strings. Pure. */
import { datePrefix } from './date-variables.ts'
import { quoteIdentifier, quoteString } from './identifiers.ts'
import { nameOf, onlyString, onlyToken } from './macro-calls.ts'
import { macroError } from './macro-parts.ts'
import type { MacroPosition, Position, Template, TemplatePiece } from './macro-parts.ts'
import { findOrThrow } from './macro-scope.ts'
import type { Found, Scope } from './macro-scope.ts'
import { RESERVED_WORDS } from './reserved-words.ts'
import { toPastedText, toSqlLiteral } from './variable-value.ts'

export function toSql(found: Found, position: MacroPosition): string {
  if (found.type === 'sql') return inPosition(found.sql, position)
  if (position === 'name' && typeof found.value === 'string') return quoteIdentifier(found.value)
  return toSqlLiteral(found.value)
}

/** A string where only a name can stand is that name. */
export function inPosition(sql: string, position: MacroPosition): string {
  const name = position === 'name' && sql.startsWith("'") ? onlyString(sql) : null
  return name === null ? sql : quoteIdentifier(name)
}

export function renderTemplate({ pieces, quote, ...at }: Template, scope: Scope): string {
  const [only] = pieces
  // `@{this_model}` and `@{column}` of an audit are whole relations and expressions, not names to be quoted.
  if (quote === null && pieces.length === 1 && typeof only === 'object') {
    const found = findOrThrow(only.variable, at, scope)
    if (found.type === 'sql' && datePrefix(only.variable) === null && onlyString(found.sql) === null) return found.sql
  }
  const text = pieces.map((piece) => paste(piece, at, { scope, into: quote === "'" ? 'string' : 'name' })).join('')
  if (quote === "'") return quoteString(text)
  const plain = /^[\p{L}_][\p{L}\p{N}_$]*$/u.test(text) && !RESERVED_WORDS.has(text.toLowerCase())
  return quote === null && plain ? text : quoteIdentifier(text)
}

/** What a variable is pasted into: a name takes the last part of `a.b`, SQL keeps the quotes of names. */
type PasteInto = 'name' | 'string' | 'sql'

export function paste(piece: TemplatePiece, at: Position, { scope, into }: { scope: Scope; into: PasteInto }): string {
  if (typeof piece === 'string') return piece
  const found = piece.loose ? scope.find(piece.variable) : findOrThrow(piece.variable, at, scope)
  if (found === null) return piece.written
  if (found.type === 'sql') return pasteSql(found, into)
  if (into === 'name' && typeof found.value === 'object' && found.value !== null) {
    const what = Array.isArray(found.value) ? 'a list' : 'a mapping'
    const message = `Macro variable '${piece.variable}' is ${what} and cannot be part of a name`
    throw macroError(message, { ...scope, ...at })
  }
  return toPastedText(found.value)
}

function pasteSql({ sql, given }: { sql: string; given?: true }, into: PasteInto): string {
  if (into === 'sql' && onlyToken(sql)?.type === 'quoted') return sql
  return onlyString(sql) ?? (into === 'name' && given === true ? nameOf(sql) : null) ?? sql
}
