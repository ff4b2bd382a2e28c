/** Macro functions that decide, repeat and compute: @IF, @EACH, @REDUCE, @FILTER, @EVAL, @SQL, @AND, @OR, @VAR. Pure. */
import { toOperand } from './argument-text.ts'
import {
  bindArguments,
  itemsAndLambda,
  NOTHING,
  onlyString,
  onlyToken,
  positionalItems,
  several,
  single,
  textOf,
  tupleItems,
} from './macro-calls.ts'
import type { CallContext, Expansion, MacroFunction } from './macro-calls.ts'
import type { Lambda } from './macro-parts.ts'
import { toNestedLiteral, toSqlLiteral } from './variable-value.ts'
import type { VariableValue } from './variable-value.ts'

export const CONTROL_FUNCTIONS: Readonly<Record<string, MacroFunction>> = {
  if: expandIf,
  each: expandEach,
  reduce: expandReduce,
  filter: expandFilter,
  eval: expandEval,
  sql: expandSql,
  and: (context) => connect(context, 'AND'),
  or: (context) => connect(context, 'OR'),
  var: (context) => expandVar(context, context.scope.variables),
  blueprint_var: (context) => expandVar(context, context.scope.blueprint),
}

async function expandIf(context: CallContext): Promise<Expansion> {
  const { condition, then, else: otherwise } = bindArguments(context, ['condition', 'then', 'else'], 2)
  const [truth] = await context.truths([await textOf(context, condition, '')])
  const branch = truth === true ? then : otherwise
  return branch === undefined ? NOTHING : context.expand(branch)
}

async function expandEach(context: CallContext): Promise<Expansion> {
  const { items, lambda } = await itemsAndLambda(context)
  const results: string[] = []
  for (const item of items) results.push(...(await applyToItem(context, lambda, item)).items)
  return several(results)
}

async function expandReduce(context: CallContext): Promise<Expansion> {
  const { items, lambda } = await itemsAndLambda(context)
  const [first, ...more] = items
  if (first === undefined) throw context.fail('Expected @REDUCE to have an item at least, got none')
  let result = first
  for (const item of more) result = (await context.apply(lambda, [result, item])).items.join(', ')
  return single(result)
}

async function expandFilter(context: CallContext): Promise<Expansion> {
  const { items, lambda } = await itemsAndLambda(context)
  const conditions: string[] = []
  for (const item of items) conditions.push((await applyToItem(context, lambda, item)).items.join(', '))
  const truths = await context.truths(conditions)
  return several(items.filter((_, index) => truths[index]))
}

/** A tuple's items are given to the parameters one by one. */
function applyToItem(context: CallContext, lambda: Lambda, item: string): Promise<Expansion> {
  return context.apply(lambda, tupleItems(item).slice(0, lambda.params.length))
}

async function expandEval(context: CallContext): Promise<Expansion> {
  const { expression } = bindArguments(context, ['expression'], 1)
  return single((await context.evaluate(await textOf(context, expression, ''))).sql)
}

/** `@SQL('text')` is SQL; of an expression that is no string, its value. */
async function expandSql(context: CallContext): Promise<Expansion> {
  const { text } = bindArguments(context, ['text', 'into'], 1)
  const sql = await textOf(context, text, '')
  const token = onlyToken(sql)
  if (token?.type === 'string') return context.expandText(token.value)
  const value = await context.evaluate(sql)
  return single(onlyString(value.sql) ?? value.sql)
}

/** Conditions that are NULL or nothing are left out; without any, TRUE. */
async function connect(context: CallContext, operator: 'AND' | 'OR'): Promise<Expansion> {
  const all = await positionalItems(context)
  const conditions = all.filter((condition) => onlyToken(condition)?.text.toUpperCase() !== 'NULL')
  if (context.call.args.some(({ name }) => name !== null)) throw context.fail(`Expected @${operator}(condition, …)`)
  if (conditions.length === 0) return single('TRUE')
  const [only] = conditions
  return single(
    conditions.length === 1 && only !== undefined ? only : `(${conditions.map(toOperand).join(` ${operator} `)})`,
  )
}

/** `@VAR('name'[, default])`: the variable, else the default, else NULL. */
async function expandVar(context: CallContext, variables: ReadonlyMap<string, VariableValue>): Promise<Expansion> {
  const { args, name, position } = context.call
  const [first, second, ...more] = args
  const isDefault = second === undefined || second.name === null || second.name === 'default'
  const key = first?.name === null ? onlyToken(await textOf(context, first, '')) : null
  if (key?.type !== 'string' || !isDefault || more.length > 0) {
    const came = args.map((arg) => (arg.name === null ? arg.text : `${arg.name} := ${arg.text}`)).join(', ')
    const upper = name.toUpperCase()
    throw context.fail(`Expected @${upper}('name'[, default]), got @${upper}(${came})`)
  }
  const value = variables.get(key.value.toLowerCase())
  if (value === undefined) return second === undefined ? single('NULL') : context.expand(second)
  return single(Array.isArray(value) && position !== 'list' ? toNestedLiteral(value) : toSqlLiteral(value))
}
