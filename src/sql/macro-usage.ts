/** What a text's macros use, without expanding them. Pure. */
import { datePrefix } from './date-variables.ts'
import { tokenize } from './lexer.ts'
import { isPredefinedVariable, PROJECT_STATEMENT_VARIABLES } from './macro-names.ts'
import type { Call, MacroPart, TextPlace } from './macro-parts.ts'
import { createScope } from './macro-scope.ts'
import type { MacroEnvironment } from './macro-scope.ts'
import { parseMacros } from './macro-syntax.ts'
import { toPieces } from './macro-templates.ts'

/**
 * Lower-case names of variables that decide what `text` becomes, those given to `@VAR` and in texts given to `@SQL` too,
 * without those that the language defines itself and the parameters of lambdas. A name that `@DEF` defines is among them.
 * A Jinja block counts as none.
 */
export function usedVariables(text: string, place: TextPlace | null = null): Set<string> {
  const names = [...walk(parseMacros(text, place))].flatMap((used) => [...variablesOf(used), ...namesGiven(used)])
  return new Set(names.filter((name) => !isPredefinedVariable(name)))
}

/** Whether `text` uses the interval or the time of execution: any of `@start_…`, `@end_…`, `@execution_…`, `@latest_…`. */
export function usesTime(text: string, place: TextPlace | null = null): boolean {
  return [...walk(parseMacros(text, place))]
    .flatMap((used) => [...variablesOf(used), ...namesGiven(used)])
    .some((name) => datePrefix(name) !== null)
}

/** Variables `expandMacros` would call undefined, those aside that the language or the kind of the model decides. */
export function undefinedVariables(text: string, environment: MacroEnvironment, place: TextPlace | null): Set<string> {
  const scope = createScope(environment, place)
  const names = [...walk(parseMacros(text, place))].flatMap((used) =>
    used.part.type === 'template' ? variablesOf(used, { loose: false }) : variablesOf(used),
  )
  return new Set(
    names.filter(
      (name) => !isPredefinedVariable(name) && !PROJECT_STATEMENT_VARIABLES.has(name) && scope.find(name) === null,
    ),
  )
}

interface UsedPart {
  part: MacroPart
  /** Parameters of the lambdas around. */
  params: ReadonlySet<string>
}

/** All parts, those in arguments and lambdas too. */
function* walk(parts: readonly MacroPart[], params: ReadonlySet<string> = new Set()): Generator<UsedPart> {
  for (const part of parts) {
    yield { part, params }
    if (part.type === 'clause') {
      yield* walk(part.condition.parts, params)
      yield* walk(part.body, params)
    }
    if (part.type !== 'call') continue
    for (const { parts, lambda } of part.args) {
      yield* walk(parts, params)
      if (lambda !== null) yield* walk(lambda.body, new Set([...params, ...lambda.params]))
    }
  }
}

/** The variables a part itself names. */
function variablesOf({ part, params }: UsedPart, { loose } = { loose: true }): string[] {
  if (part.type === 'variable') return params.has(part.name) ? [] : [part.name]
  if (part.type !== 'template') return []
  return part.pieces.flatMap((piece) =>
    typeof piece === 'string' || params.has(piece.variable) || (piece.loose && !loose) ? [] : [piece.variable],
  )
}

/** Variables in the strings that a function takes for names or for SQL. */
function namesGiven({ part, params }: UsedPart): string[] {
  if (part.type !== 'call') return []
  const strings = stringsOf(part)
  if (part.name === 'var' || part.name === 'blueprint_var') return strings.slice(0, 1).map((name) => name.toLowerCase())
  if (part.name !== 'sql' && part.name !== 'deduplicate') return []
  const pieces = strings.flatMap((text) => toPieces(text))
  return pieces.flatMap((piece) => (typeof piece === 'string' || params.has(piece.variable) ? [] : [piece.variable]))
}

function stringsOf(call: Call): string[] {
  return call.args.flatMap(({ text }) =>
    tokenize(text).flatMap(({ type, value }) => (type === 'string' ? [value] : [])),
  )
}
