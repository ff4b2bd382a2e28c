/** The macro language of models and audits: text with macros → SQL. Its functions are in files of their own. Pure. */
import { MillraceError, nearest } from '../errors.ts'
import { joinPieces, NOTHING_HERE, NothingInExpression, withoutNothing } from './macro-assembly.ts'
import { NOTHING, partsOf, single, tupleItems } from './macro-calls.ts'
import type { CallContext, Expansion, MacroFunction } from './macro-calls.ts'
import { plainTruth } from './macro-conditions.ts'
import { CONTROL_FUNCTIONS } from './macro-control.ts'
import { EXPRESSION_FUNCTIONS } from './macro-expressions.ts'
import { MACRO_FUNCTIONS } from './macro-names.ts'
import { macroError, notYetError, toLocation } from './macro-parts.ts'
import type { Call, Lambda, MacroPart, Position, TextPlace } from './macro-parts.ts'
import { callProjectMacro } from './macro-project-call.ts'
import { QUERY_FUNCTIONS } from './macro-queries.ts'
import { tokenize } from './lexer.ts'
import { createScope, findOrThrow, innerScope } from './macro-scope.ts'
import type { EvaluatedExpression, MacroEnvironment, Scope } from './macro-scope.ts'
import { parseMacros } from './macro-syntax.ts'
import { toPieces } from './macro-templates.ts'
import { inPosition, paste, renderTemplate, toSql } from './macro-values.ts'

export type { TextPlace } from './macro-parts.ts'
export type { MacroEnvironment, MacroHost, RuntimeStage } from './macro-scope.ts'
export { undefinedVariables, usedVariables, usesTime } from './macro-usage.ts'
export type { VariableValue } from './variable-value.ts'

/**
 * `text` with its macros replaced; the rest stays exactly as written. `place` is where the text starts.
 * @throws MillraceError MACRO for what is undefined or misused, NOT_YET for Jinja, SQL_SYNTAX for a string, comment or
 * quoted name that does not end
 */
export async function expandMacros(
  text: string,
  environment: MacroEnvironment,
  place: TextPlace | null,
): Promise<string> {
  return render(parseMacros(text, place), await scopeOf(environment, place))
}

/** The statements a statement stands for: none for `@DEF` and for a macro that gives nothing, several for one that gives a list. */
export async function expandStatement(
  text: string,
  environment: MacroEnvironment,
  place: TextPlace | null,
): Promise<string[]> {
  const parts = parseMacros(text, place)
  if (onlyCall(parts)?.name === 'def') return []
  const { items } = await expandParts(parts, await scopeOf(environment, place))
  return items.filter((item) => item.trim() !== '')
}

const FUNCTIONS: ReadonlyMap<string, MacroFunction> = new Map(
  Object.entries({ ...CONTROL_FUNCTIONS, ...EXPRESSION_FUNCTIONS, ...QUERY_FUNCTIONS }),
)
const MAX_CALLS = 100_000
const MAX_DEPTH = 100
/** Characters of an expanded text: sixteen times the longest query that is any use. */
const MAX_LENGTH = 16_000_000

async function scopeOf(environment: MacroEnvironment, place: TextPlace | null): Promise<Scope> {
  const scope = createScope(environment, place)
  for (const definition of environment.definitions ?? []) {
    if (!/@def\b/i.test(definition.text)) continue
    const call = onlyCall(parseMacros(definition.text, definition.place))
    if (call?.name === 'def') await define(call, { ...scope, place: definition.place })
  }
  return scope
}

/** `@DEF(name, expression)` or `@DEF(name, x -> expression)`. */
async function define(call: Call, scope: Scope): Promise<void> {
  const [first, second, ...more] = call.args
  const [name, ...parts] = first?.name === null ? (partsOf(first.text) ?? []) : []
  if (name === undefined || parts.length > 0 || second === undefined || second.name !== null || more.length > 0) {
    throw macroError('Expected @DEF(name, expression) or @DEF(name, x -> expression)', { ...scope, ...placeOf(call) })
  }
  const { lambda } = second
  if (lambda !== null) scope.functions.set(name.toLowerCase(), { ...lambda, place: scope.place })
  else {
    const { items, list } = await expandParts(second.parts, scope)
    const sql = items.join(', ') || 'NULL'
    scope.locals.set(name.toLowerCase(), list ? `(${sql})` : sql)
  }
}

/** The call that is all there is of `parts`; null where there is more, or no call. */
function onlyCall(parts: readonly MacroPart[]): Call | null {
  const [only, ...more] = parts.filter((part) => part.type !== 'text' || hasTokens(part.text))
  return only?.type === 'call' && more.length === 0 ? only : null
}

function hasTokens(text: string): boolean {
  return text.trim() !== '' && tokenize(text).some(({ type }) => type !== 'comment')
}

async function expandParts(parts: readonly MacroPart[], scope: Scope): Promise<Expansion> {
  const call = onlyCall(parts)
  return call === null ? single(await render(parts, scope)) : expandCall(call, scope)
}

async function render(parts: readonly MacroPart[], scope: Scope): Promise<string> {
  const pieces: string[] = []
  const nothings: Position[] = []
  for (const part of parts) {
    const piece = await renderPart(part, scope)
    if (piece === null && part.type !== 'text') nothings.push(part)
    pieces.push(piece ?? NOTHING_HERE)
  }
  const text = joinPieces(pieces)
  if (text.length > MAX_LENGTH) {
    const [first] = parts.filter((part) => part.type !== 'text')
    throw macroError(`Expected macros to give at most ${MAX_LENGTH} characters`, {
      ...scope,
      ...placeOf(first ?? START),
    })
  }
  if (nothings.length === 0) return text
  try {
    return withoutNothing(text)
  } catch (error) {
    if (!(error instanceof NothingInExpression)) throw error
    const message = 'A macro gives nothing here, and is a part of an expression'
    const hint = 'Give it a value for the other case, e.g. TRUE; @AND(…) leaves out what is nothing'
    throw macroError(message, { ...scope, ...placeOf(nothings[error.nth] ?? START) }, hint)
  }
}

const START: Position = { line: 1, column: 1 }

function placeOf({ line, column }: Position): Position {
  return { line, column }
}

/** Null for a macro that gives nothing. */
async function renderPart(part: MacroPart, scope: Scope): Promise<string | null> {
  if (part.type === 'text') return part.text
  if (part.type === 'variable') return toSql(findOrThrow(part.name, part, scope), part.position)
  if (part.type === 'template') return renderTemplate(part, scope)
  if (part.type === 'jinja') throw notYetError('Jinja is not supported yet', { ...scope, ...placeOf(part) })
  if (part.type === 'clause') {
    const { condition, keyword, prefix, body } = part
    const [holds] = await truthsOf([await render(condition.parts, scope)], part, scope)
    return holds === true ? `${prefix}${keyword}${await render(body, scope)}` : ''
  }
  const { items, list } = await expandCall(part, scope)
  if (part.position === 'list' && list) return `(${items.join(', ')})`
  return items.length === 0 ? null : inPosition(items.join(', '), part.position)
}

async function expandCall(call: Call, outer: Scope): Promise<Expansion> {
  const scope = { ...outer, depth: outer.depth + 1 }
  const fail = (message: string, hint?: string): MillraceError =>
    macroError(message, { ...scope, ...placeOf(call) }, hint)
  scope.budget.calls += 1
  if (scope.depth > MAX_DEPTH || scope.budget.calls > MAX_CALLS) {
    const limit =
      scope.depth > MAX_DEPTH ? `${MAX_DEPTH} calls of macros within each other` : `${MAX_CALLS} calls of macros`
    throw fail(`Expected at most ${limit}, got more in @${call.name.toUpperCase()}`, 'Does it call itself?')
  }
  const context: CallContext = {
    call,
    scope,
    fail,
    expand(argument) {
      if (argument.lambda !== null) throw fail(`Expected an expression, got the lambda ${argument.text}`)
      return expandParts(argument.parts, scope)
    },
    apply: (lambda, given) => applyLambda(lambda, given, { scope, fail }),
    expandText: (text) => expandText(text, call, scope),
    evaluate: async (sql) => firstOf(await evaluate([sql], call, scope)),
    truths: (conditions) => truthsOf(conditions, call, scope),
  }
  const defined = scope.functions.get(call.name)
  if (defined !== undefined) return callDefined(defined, context)
  const own = scope.environment.functions?.get(call.name)
  if (own !== undefined) return callProjectMacro(own, context)
  const builtIn = FUNCTIONS.get(call.name)
  if (builtIn !== undefined) return builtIn(context)
  throw unusable(context)
}

function unusable({ call, scope, fail }: CallContext): MillraceError {
  const upper = call.name.toUpperCase()
  if (call.name === 'def') return fail('Expected @DEF(…) as a statement of its own, got it within another')
  if (MACRO_FUNCTIONS.has(call.name)) return fail(`Expected a clause after @${upper}(…)`)
  const known = [...scope.functions.keys(), ...(scope.environment.functions?.keys() ?? []), ...MACRO_FUNCTIONS]
  const near = nearest(call.name, known)
  const hint =
    near === null ? 'Define it by @DEF(name, x -> …), or in macros/' : `Did you mean @${near.toUpperCase()}(…)?`
  return fail(`Macro function '${call.name}' is undefined`, hint)
}

async function callDefined(defined: Lambda & { place: TextPlace | null }, context: CallContext): Promise<Expansion> {
  const { call, scope, fail } = context
  const given: string[] = []
  for (const argument of call.args) given.push(...(await context.expand(argument)).items)
  const values = given.length === 1 && defined.params.length > 1 ? tupleItems(given[0] ?? '') : given
  if (values.length !== defined.params.length || call.args.some(({ name }) => name !== null)) {
    const upper = call.name.toUpperCase()
    const came = call.args.map(({ text }) => text).join(', ')
    throw fail(`Expected @${upper}(${defined.params.join(', ')}), got @${upper}(${came})`)
  }
  return applyLambda(defined, values, { scope: { ...scope, place: defined.place }, fail })
}

async function applyLambda(
  { params, body }: Lambda,
  given: readonly string[],
  { scope, fail }: Pick<CallContext, 'scope' | 'fail'>,
): Promise<Expansion> {
  const missing = params[given.length]
  if (missing !== undefined) {
    throw fail(`Expected a value for each of (${params.join(', ')}), got ${given.length} in (${given.join(', ')})`)
  }
  const bound = new Map(params.map((param, index) => [param, given[index] ?? '']))
  return expandParts(body, innerScope(scope, bound))
}

/** Variables in `text` by their own characters, then as SQL. Errors in it are where the call is. */
async function expandText(text: string, call: Call, scope: Scope): Promise<Expansion> {
  const pasted = toPieces(text).map((piece) => paste(piece, placeOf(call), { scope, into: 'sql' }))
  try {
    const parts = parseMacros(pasted.join(''), scope.place)
    return parts.length === 0 ? NOTHING : await expandParts(parts, scope)
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    const location = toLocation({ ...scope, ...placeOf(call) })
    throw new MillraceError(error.code, error.message, { ...location, ...(error.hint && { hint: error.hint }) })
  }
}

async function truthsOf(conditions: readonly string[], at: Position, scope: Scope): Promise<boolean[]> {
  const truths = conditions.map((condition) => plainTruth(condition))
  const open = conditions.filter((_, index) => truths[index] === null)
  const evaluated = open.length === 0 ? [] : await evaluate(open, at, scope)
  return truths.map((truth) => truth ?? evaluated.shift()?.truth === true)
}

/** @throws MillraceError MACRO for what is no constant */
async function evaluate(expressions: readonly string[], at: Position, scope: Scope): Promise<EvaluatedExpression[]> {
  const { host } = scope.environment
  if (host === undefined) {
    throw macroError(`Expected a literal, got '${expressions[0] ?? ''}'`, { ...scope, ...placeOf(at) })
  }
  const results = await host.evaluate(expressions)
  return results.map((result, index) => {
    if (!('problem' in result)) return result
    const message = `Expected an expression of constants, got '${expressions[index] ?? ''}': ${result.problem}`
    throw macroError(message, { ...scope, ...placeOf(at) }, 'It is evaluated before the query runs, and reads no table')
  })
}

function firstOf([first]: EvaluatedExpression[]): EvaluatedExpression {
  if (first === undefined) throw new TypeError('the macro host lost an expression')
  return first
}
