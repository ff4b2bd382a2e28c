/** Calls of macros of a project's own: their arguments, and what they give. Pure. */
import { parseList } from './argument-text.ts'
import { NOTHING, onlyToken, several, single } from './macro-calls.ts'
import type { CallContext, Expansion } from './macro-calls.ts'
import type { Lambda, MacroArgument } from './macro-parts.ts'
import { datesOf } from './macro-scope.ts'
import type { MacroArgumentValue, ProjectMacro } from './project-macro.ts'
import type { VariableValue } from './variable-value.ts'

/** An error of the macro itself is thrown on as it is when it says where it is, else as one of the call. */
export async function callProjectMacro(macro: ProjectMacro, context: CallContext): Promise<Expansion> {
  const { environment, variables } = context.scope
  const positional: MacroArgumentValue[] = []
  const named: Record<string, MacroArgumentValue> = {}
  for (const argument of context.call.args) {
    const values = await toValues(context, argument)
    if (argument.name === null) positional.push(...values)
    else named[argument.name] = values[0] ?? toValue('NULL')
  }
  const result = await macro.expand(
    { positional, named },
    {
      variables: Object.fromEntries(variables),
      runtimeStage: environment.runtimeStage,
      dates: datesOf(environment),
      thisModel: environment.thisModel,
      gateway: environment.gateway,
    },
  )
  if (result === null) return NOTHING
  return typeof result === 'string' ? single(result) : several(result)
}

/** A macro that gives several items gives several arguments. */
async function toValues(context: CallContext, argument: MacroArgument): Promise<MacroArgumentValue[]> {
  const { lambda } = argument
  if (lambda !== null) return [lambdaValue(context, argument.text, lambda)]
  const { items } = await context.expand(argument)
  return items.map(toValue)
}

function lambdaValue(context: CallContext, text: string, lambda: Lambda): MacroArgumentValue {
  return {
    sql: text,
    items: null,
    value: undefined,
    call: async (...given) => (await context.apply(lambda, given)).items.join(', '),
  }
}

function toValue(sql: string): MacroArgumentValue {
  const items = listItems(sql)
  return { sql, items, value: literalValue(sql, items) }
}

function listItems(sql: string): string[] | null {
  if (!/^\s*[[(]/.test(sql)) return null
  const items = parseList(sql)
  return items.length === 1 && items[0]?.trim() === sql.trim() ? null : items
}

function literalValue(sql: string, items: readonly string[] | null): VariableValue | undefined {
  if (items !== null) {
    const values = items.map((item) => literalValue(item, listItems(item)))
    return values.includes(undefined) ? undefined : (values as VariableValue[])
  }
  const token = onlyToken(sql)
  if (token?.type === 'string') return token.value
  if (/^\s*-?\s*[\d.]+(e[+-]?\d+)?\s*$/i.test(sql)) return Number(sql.replaceAll(/\s/g, ''))
  const word = token?.type === 'word' ? token.text.toLowerCase() : null
  if (word === 'true' || word === 'false') return word === 'true'
  return word === 'null' ? null : undefined
}
