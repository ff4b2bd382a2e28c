/** What macro functions are given and give, and how they read their arguments. Pure. */
import type { MillraceError } from '../errors.ts'
import { nearest } from '../errors.ts'
import { parseList } from './argument-text.ts'
import { tokenize } from './lexer.ts'
import type { Token } from './lexer.ts'
import type { Call, Lambda, MacroArgument } from './macro-parts.ts'
import type { EvaluatedExpression, Scope } from './macro-scope.ts'

/** SQL that takes a macro's place: no item leaves it out, several are separated by commas. */
export interface Expansion {
  items: readonly string[]
  /** The items are those of a list, though there be one or none. */
  list: boolean
}

export interface CallContext {
  call: Call
  scope: Scope
  /** An argument with the macros in it expanded; a macro that is all of it may give several items, or none. */
  expand: (argument: MacroArgument) => Promise<Expansion>
  /** The body of a lambda with `given` for its parameters. */
  apply: (lambda: Lambda, given: readonly string[]) => Promise<Expansion>
  /** Text in which variables are replaced by their own characters, then expanded as SQL. */
  expandText: (text: string) => Promise<Expansion>
  evaluate: (sql: string) => Promise<EvaluatedExpression>
  truths: (conditions: readonly string[]) => Promise<boolean[]>
  fail: (message: string, hint?: string) => MillraceError
}

export type MacroFunction = (context: CallContext) => Promise<Expansion>

export const NOTHING: Expansion = { items: [], list: false }

export function single(sql: string): Expansion {
  return { items: [sql], list: false }
}

export function several(items: readonly string[]): Expansion {
  return { items, list: true }
}

/**
 * Arguments by the names of `parameters`, given by position or by name; the first `required` must be there.
 * @throws MillraceError MACRO
 */
export function bindArguments<Name extends string>(
  context: CallContext,
  parameters: readonly Name[],
  required: number,
): Partial<Record<Name, MacroArgument>> {
  const { args } = context.call
  const bound: Partial<Record<Name, MacroArgument>> = {}
  for (const [index, argument] of args.entries()) {
    const name = parameters.find((one, at) => (argument.name === null ? at === index : one === argument.name))
    if (name === undefined || bound[name] !== undefined) {
      const near = argument.name === null ? null : nearest(argument.name, parameters)
      throw wrongArguments(context, parameters, required, near)
    }
    bound[name] = argument
  }
  if (parameters.slice(0, required).some((name) => bound[name] === undefined)) {
    throw wrongArguments(context, parameters, required, null)
  }
  return bound
}

function wrongArguments(
  { call, fail }: CallContext,
  parameters: readonly string[],
  required: number,
  near: string | null,
): MillraceError {
  const optional = parameters.slice(required)
  const rest = optional.length === 0 ? '' : `[${required > 0 ? ', ' : ''}${optional.join(', ')}]`
  const expected = `${parameters.slice(0, required).join(', ')}${rest}`
  const came = call.args.map(({ name, text }) => (name === null ? text : `${name} := ${text}`)).join(', ')
  const upper = call.name.toUpperCase()
  return fail(
    `Expected @${upper}(${expected}), got @${upper}(${came})`,
    near === null ? undefined : `Did you mean '${near}'?`,
  )
}

/** An argument as one SQL text; `otherwise` where it is not there or gives nothing. */
export async function textOf(
  context: CallContext,
  argument: MacroArgument | undefined,
  otherwise: string,
): Promise<string> {
  if (argument === undefined) return otherwise
  const { items } = await context.expand(argument)
  return items.length === 0 ? otherwise : items.join(', ')
}

/** The items of a list `[a, b]` or `(a, b)`, of a list variable, or of a macro that gives several. */
export async function itemsOf(context: CallContext, argument: MacroArgument | undefined): Promise<readonly string[]> {
  if (argument === undefined) return []
  const { items, list } = await context.expand(argument)
  return list ? items : items.flatMap(parseList)
}

/** Positional arguments, each item of a macro that gives several for itself. */
export async function positionalItems(context: CallContext): Promise<string[]> {
  const items: string[] = []
  for (const argument of context.call.args) {
    if (argument.name === null) items.push(...(await context.expand(argument)).items)
  }
  return items
}

/** What is iterated over: the items of the only argument, or all arguments before the lambda; and the lambda. */
export async function itemsAndLambda(context: CallContext): Promise<{ items: readonly string[]; lambda: Lambda }> {
  const { call, fail } = context
  const lambda = call.args.at(-1)?.lambda ?? null
  const others = call.args.slice(0, -1)
  if (lambda === null || others.length === 0 || others.some((one) => one.lambda !== null || one.name !== null)) {
    const upper = call.name.toUpperCase()
    const params = call.name === 'reduce' ? '(x, y)' : 'x'
    throw fail(`Expected @${upper}([item, …], ${params} -> expression)`)
  }
  const [only] = others
  if (others.length === 1) return { items: await itemsOf(context, only), lambda }
  const items: string[] = []
  for (const other of others) items.push(...(await context.expand(other)).items)
  return { items, lambda }
}

/** The items of a tuple `(a, b)`; anything else is the only one. */
export function tupleItems(sql: string): string[] {
  if (!sql.trimStart().startsWith('(')) return [sql]
  const items = parseList(sql)
  return items.length > 1 ? items : [sql]
}

/** The characters of an SQL text that is one string or one quoted name, null for any other. */
export function onlyString(sql: string): string | null {
  const token = onlyToken(sql)
  return token?.type === 'string' || token?.type === 'quoted' ? token.value : null
}

/** What a string, a number or a name means as a part of a name; of `a.b` the last. Null for any other text. */
export function nameOf(sql: string): string | null {
  const tokens = meaningful(sql)
  const last = tokens.at(-1)
  if (tokens.length === 1 && (last?.type === 'string' || last?.type === 'number')) return last.value
  return partsOf(sql)?.at(-1) ?? null
}

/** The parts of a dotted name, quotes resolved; null for any other text. */
export function partsOf(sql: string): string[] | null {
  const tokens = meaningful(sql)
  const isName = tokens.every((token, index) =>
    index % 2 === 0 ? token.type === 'word' || token.type === 'quoted' : token.text === '.',
  )
  return isName && tokens.length % 2 === 1
    ? tokens.filter((_, index) => index % 2 === 0).map(({ value }) => value)
    : null
}

export function onlyToken(sql: string): Token | null {
  const [token, ...more] = meaningful(sql)
  return token !== undefined && more.length === 0 ? token : null
}

function meaningful(sql: string): Token[] {
  return tokenize(sql).filter(({ type }) => type !== 'comment')
}
