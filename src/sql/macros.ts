/** The macro language of models and audits: variables, date variables, `@VAR`. Pure. */
import { nearest } from '../errors.ts'
import { datePrefix } from './date-variables.ts'
import { quoteIdentifier, quoteString } from './identifiers.ts'
import { isPredefinedVariable, isMacroFunction, LATER_VARIABLES, MACRO_FUNCTIONS } from './macro-names.ts'
import { createScope, findOrThrow } from './macro-scope.ts'
import type { Found, MacroEnvironment, Scope } from './macro-scope.ts'
import { macroError, notYetError, parseMacros } from './macro-syntax.ts'
import type { MacroPart, MacroPosition, TemplatePiece, TextPlace } from './macro-syntax.ts'
import { tokenize } from './lexer.ts'
import { RESERVED_WORDS } from './reserved-words.ts'
import { toNestedLiteral, toPastedText, toSqlLiteral } from './variable-value.ts'

export type { MacroEnvironment, RuntimeStage } from './macro-scope.ts'
export type { TextPlace } from './macro-syntax.ts'
export type { VariableValue } from './variable-value.ts'

/**
 * `text` with its macros replaced; the rest stays exactly as written. `place` is where the text starts.
 * @throws MillraceError MACRO for what is undefined or misused, NOT_YET for functions of SQLMesh that do not work yet
 * and for Jinja, SQL_SYNTAX for a string, comment or quoted name that does not end
 */
export async function expandMacros(
  text: string,
  environment: MacroEnvironment,
  place: TextPlace | null,
): Promise<string> {
  return render(parseMacros(text, place), createScope(environment, place))
}

/**
 * Lower-case names of variables that decide what `text` becomes, those given to `@VAR` too and without those that the
 * language defines itself. It may hold names that are no variables, such as a lambda's. A Jinja block counts as none.
 */
export function usedVariables(text: string, place: TextPlace | null = null): Set<string> {
  const names = [...walk(parseMacros(text, place))].flatMap((part) => {
    if (part.type === 'call' && part.name === 'var') return variableOfVar(part) ?? []
    return variablesOf(part).filter((name) => !isPredefinedVariable(name))
  })
  return new Set(names)
}

/** Whether `text` uses the interval or the time of execution: any of `@start_…`, `@end_…`, `@execution_…`, `@latest_…`. */
export function usesTime(text: string, place: TextPlace | null = null): boolean {
  return [...walk(parseMacros(text, place))].flatMap(variablesOf).some((name) => datePrefix(name) !== null)
}

/** Variables `expandMacros` would call undefined, those aside that the language or the kind of the model decides. */
export function undefinedVariables(text: string, environment: MacroEnvironment, place: TextPlace | null): Set<string> {
  const scope = createScope(environment, place)
  const names = [...walk(parseMacros(text, place))].flatMap((part) =>
    part.type === 'template'
      ? part.pieces.flatMap((piece) => (typeof piece === 'string' || piece.loose ? [] : [piece.variable]))
      : variablesOf(part),
  )
  return new Set(
    names.filter((name) => !isPredefinedVariable(name) && !LATER_VARIABLES.has(name) && scope.find(name) === null),
  )
}

type Template = Extract<MacroPart, { type: 'template' }>
type Call = Extract<MacroPart, { type: 'call' }>

function render(parts: MacroPart[], scope: Scope): string {
  return parts.map((part) => renderPart(part, scope)).join('')
}

function renderPart(part: MacroPart, scope: Scope): string {
  if (part.type === 'text') return part.text
  if (part.type === 'variable') return toSql(findOrThrow(part.name, part.line, scope), part.position)
  if (part.type === 'template') return renderTemplate(part, scope)
  if (part.type === 'call') return renderCall(part, scope)
  throw notYetError('Jinja is not supported yet', { ...scope, line: part.line })
}

function toSql(found: Found, position: MacroPosition): string {
  if (found.type === 'sql') return found.sql
  if (position === 'name' && typeof found.value === 'string') return quoteIdentifier(found.value)
  return toSqlLiteral(found.value)
}

function renderTemplate({ pieces, quote, line }: Template, scope: Scope): string {
  const [only] = pieces
  // `@{this_model}` and `@{column}` of an audit are whole relations and expressions, not names to be quoted.
  if (quote === null && pieces.length === 1 && typeof only === 'object') {
    const found = findOrThrow(only.variable, line, scope)
    if (found.type === 'sql' && datePrefix(only.variable) === null && onlyString(found.sql) === null) return found.sql
  }
  const text = pieces.map((piece) => paste(piece, { quote, line }, scope)).join('')
  if (quote === "'") return quoteString(text)
  const plain = /^[\p{L}_][\p{L}\p{N}_$]*$/u.test(text) && !RESERVED_WORDS.has(text.toLowerCase())
  return quote === null && plain ? text : quoteIdentifier(text)
}

function paste(
  piece: TemplatePiece,
  { quote, line }: { quote: Template['quote']; line: number },
  scope: Scope,
): string {
  if (typeof piece === 'string') return piece
  const found = piece.loose ? scope.find(piece.variable) : findOrThrow(piece.variable, line, scope)
  if (found === null) return piece.written
  if (found.type === 'sql') return onlyString(found.sql) ?? found.sql
  if (quote !== "'" && typeof found.value === 'object' && found.value !== null) {
    const what = Array.isArray(found.value) ? 'a list' : 'a mapping'
    throw macroError(`Macro variable '${piece.variable}' is ${what} and cannot be part of a name`, { ...scope, line })
  }
  return toPastedText(found.value)
}

/** The characters of an SQL text that is one string or one quoted name, null for any other. */
function onlyString(sql: string): string | null {
  const [token, ...more] = tokenize(sql)
  return more.length === 0 && (token?.type === 'string' || token?.type === 'quoted') ? token.value : null
}

function renderCall(call: Call, scope: Scope): string {
  if (call.name === 'var') return renderVar(call, scope)
  const name = call.name.toUpperCase()
  if (isMacroFunction(call.name)) {
    throw notYetError(`Macro function @${name} is not supported yet`, { ...scope, line: call.line })
  }
  const near = nearest(call.name, MACRO_FUNCTIONS)
  const hint = near === null ? 'Macros written in Python are not supported' : `Did you mean @${near.toUpperCase()}(…)?`
  throw macroError(`Macro function '${call.name}' is undefined`, { ...scope, line: call.line }, hint)
}

/** `@VAR('name'[, default])`: the variable of the project, else the default, else NULL. */
function renderVar(call: Call, scope: Scope): string {
  const name = variableOfVar(call)
  const [first, second, ...more] = call.args
  const wrongName = first?.name !== null || (second !== undefined && ![null, 'default'].includes(second.name))
  if (name === null || wrongName || more.length > 0) {
    const came = call.args.map((arg) => (arg.name === null ? arg.text : `${arg.name} := ${arg.text}`)).join(', ')
    throw macroError(`Expected @VAR('name'[, default]), got @VAR(${came})`, { ...scope, line: call.line })
  }
  const value = scope.variables.get(name)
  if (value === undefined) return second === undefined ? 'NULL' : render(second.parts, scope)
  return Array.isArray(value) && call.position !== 'list' ? toNestedLiteral(value) : toSqlLiteral(value)
}

/** Lower case; null when the first argument is no plain string. */
function variableOfVar(call: Call): string | null {
  const [token, ...more] = tokenize(call.args[0]?.text ?? '').filter(({ type }) => type !== 'comment')
  return token?.type === 'string' && more.length === 0 ? token.value.toLowerCase() : null
}

/** All parts, those in arguments too. */
function* walk(parts: MacroPart[]): Generator<MacroPart> {
  for (const part of parts) {
    yield part
    if (part.type === 'call') for (const { parts } of part.args) yield* walk(parts)
  }
}

/** The variables a part itself names. */
function variablesOf(part: MacroPart): string[] {
  if (part.type === 'variable') return [part.name]
  if (part.type !== 'template') return []
  return part.pieces.flatMap((piece) => (typeof piece === 'string' ? [] : [piece.variable]))
}
