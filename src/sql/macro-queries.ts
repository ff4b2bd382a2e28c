/** Macro functions that are queries or lists of projections: @STAR, @UNION, @DEDUPLICATE, @DATE_SPINE, @PIVOT. Pure. */
import type { RelationName } from '../project/model.ts'
import { displayName, quoteIdentifier } from './identifiers.ts'
import {
  bindArguments,
  itemsOf,
  nameOf,
  onlyString,
  onlyToken,
  partsOf,
  positionalItems,
  several,
  single,
  textOf,
} from './macro-calls.ts'
import type { CallContext, Expansion, MacroFunction } from './macro-calls.ts'
import type { MacroArgument } from './macro-parts.ts'

export const QUERY_FUNCTIONS: Readonly<Record<string, MacroFunction>> = {
  star: expandStar,
  union: expandUnion,
  deduplicate: expandDeduplicate,
  date_spine: expandDateSpine,
  pivot: expandPivot,
}

async function expandStar(context: CallContext): Promise<Expansion> {
  const parameters = ['relation', 'alias', 'exclude', 'prefix', 'suffix', 'quote_identifiers', 'except_'] as const
  const args = bindArguments(context, parameters, 1)
  const relation = toRelation(context, await textOf(context, args.relation, ''))
  const alias = await nameArgument(context, args.alias, relation.name)
  const excluded = new Set<string>()
  for (const item of await itemsOf(context, args.exclude ?? args.except_)) {
    const name = nameOf(item)
    if (name === null) throw context.fail(`Expected names of columns in exclude, got '${item}'`)
    excluded.add(name.toLowerCase())
  }
  const [prefix, suffix] = [await stringArgument(context, args.prefix), await stringArgument(context, args.suffix)]
  const quote = (await booleanArgument(context, args.quote_identifiers, true))
    ? quoteIdentifier
    : (name: string) => name
  const columns = Object.entries(await columnsOf(context, relation)).filter(([name]) => !excluded.has(name))
  return several(
    columns.map(
      ([name, type]) =>
        `CAST(${quote(alias.toLowerCase())}.${quote(name)} AS ${type}) AS ${quote(`${prefix}${name}${suffix}`)}`,
    ),
  )
}

/** `@UNION([condition,] ['all' | 'distinct',] table, …)`: the columns all tables have with the same type. */
async function expandUnion(context: CallContext): Promise<Expansion> {
  const items = await positionalItems(context)
  const [first] = items
  let condition = true
  if (first !== undefined && !isRelationOrString(first)) {
    condition = (await context.truths([first]))[0] === true
    items.shift()
  }
  const operator =
    onlyString(items[0] ?? '') !== null && onlyToken(items[0] ?? '')?.type === 'string' ? items.shift() : "'ALL'"
  const type = (onlyString(operator ?? '') ?? '').toUpperCase()
  if (type !== 'ALL' && type !== 'DISTINCT') {
    throw context.fail(`Expected 'all' or 'distinct' as the type of @UNION, got ${operator ?? ''}`)
  }
  const tables = items.map((item) => ({ sql: item, relation: toRelation(context, item) }))
  const columns: Record<string, string>[] = []
  for (const { relation } of tables) columns.push(await columnsOf(context, relation))
  const [own] = columns
  if (own === undefined || context.call.args.some(({ name }) => name !== null)) {
    throw context.fail("Expected @UNION([condition,] ['all' or 'distinct',] table, …)")
  }
  const shared = Object.entries(own).filter(([name, dataType]) => columns.every((other) => other[name] === dataType))
  if (shared.length === 0) {
    const names = tables.map(({ relation }) => displayName(relation)).join(', ')
    throw context.fail(`Expected a column that all tables of @UNION have with the same type: ${names} share none`)
  }
  const projections = shared.map(([name, dataType]) => {
    const quoted = quoteIdentifier(name)
    return `CAST(${quoted} AS ${dataType}) AS ${quoted}`
  })
  const selects = tables.map(({ sql }) => `SELECT ${projections.join(', ')} FROM ${sql}`)
  return single(condition ? selects.join(type === 'ALL' ? ' UNION ALL ' : ' UNION ') : (selects[0] ?? ''))
}

async function expandDeduplicate(context: CallContext): Promise<Expansion> {
  const { relation, partition_by, order_by } = bindArguments(context, ['relation', 'partition_by', 'order_by'], 3)
  const partition = await itemsOf(context, partition_by)
  const order: string[] = []
  for (const item of await itemsOf(context, order_by)) {
    const text = onlyToken(item)?.type === 'string' ? onlyString(item) : null
    if (text === null) throw context.fail(`Expected order_by like ['column DESC'], got ${item}`)
    order.push(...(await context.expandText(text)).items)
  }
  if (partition.length === 0 || order.length === 0) {
    throw context.fail("Expected @DEDUPLICATE(relation, [column, …], ['column DESC', …])")
  }
  const window = `PARTITION BY ${partition.join(', ')} ORDER BY ${order.join(', ')}`
  const from = await textOf(context, relation, '')
  return single(`SELECT * FROM ${from} QUALIFY ROW_NUMBER() OVER (${window}) = 1`)
}

const DATE_PARTS = ['day', 'week', 'month', 'quarter', 'year']
const DATE = /^\d{4}-\d{2}-\d{2}$/

async function expandDateSpine(context: CallContext): Promise<Expansion> {
  const args = bindArguments(context, ['datepart', 'start_date', 'end_date'], 3)
  const part = (await nameArgument(context, args.datepart, '')).toLowerCase()
  if (!DATE_PARTS.includes(part))
    throw context.fail(`Expected ${DATE_PARTS.join(', ')} as the date part, got '${part}'`)
  const [start, end] = [await textOf(context, args.start_date, ''), await textOf(context, args.end_date, '')]
  const dates = [start, end].map((sql) => (onlyToken(sql)?.type === 'string' ? onlyString(sql) : null))
  const [from, to] = dates
  const areStrings = typeof from === 'string' && typeof to === 'string'
  if (areStrings && !(DATE.test(from) && DATE.test(to))) {
    throw context.fail(`Expected dates like '2024-01-31', got ${start} and ${end}`)
  }
  if (areStrings && from > to) throw context.fail(`Expected start_date not after end_date, got ${start} and ${end}`)
  const toDate = (sql: string): string => (areStrings ? `CAST(${sql} AS DATE)` : sql)
  const series = `GENERATE_SERIES(${toDate(start)}, ${toDate(end)}, INTERVAL '1' ${part.toUpperCase()})`
  return single(`SELECT date_${part} FROM UNNEST(CAST(${series} AS DATE[])) AS _exploded(date_${part})`)
}

async function expandPivot(context: CallContext): Promise<Expansion> {
  const parameters = [
    'column',
    'values',
    'alias',
    'agg',
    'cmp',
    'prefix',
    'suffix',
    'then_value',
    'else_value',
  ] as const
  const args = bindArguments(context, [...parameters, 'quote', 'distinct'], 2)
  const column = await textOf(context, args.column, '')
  const aggregate = await nameArgument(context, args.agg, 'SUM')
  const compare = await nameArgument(context, args.cmp, '=')
  const [prefix, suffix] = [await stringArgument(context, args.prefix), await stringArgument(context, args.suffix)]
  const [then, otherwise] = [await textOf(context, args.then_value, '1'), await textOf(context, args.else_value, '0')]
  const hasAlias = await booleanArgument(context, args.alias, true)
  const quote = (await booleanArgument(context, args.quote, true)) ? quoteIdentifier : (name: string) => name
  const distinct = (await booleanArgument(context, args.distinct, false)) ? 'DISTINCT ' : ''
  const values = await itemsOf(context, args.values)
  return several(
    values.map((value) => {
      const chosen = `CASE WHEN ${column} ${compare} ${value} THEN ${then} ELSE ${otherwise} END`
      const name = `${prefix}${nameOf(value) ?? value}${suffix}`
      return `${aggregate}(${distinct}${chosen})${hasAlias ? ` AS ${quote(name)}` : ''}`
    }),
  )
}

function isRelationOrString(sql: string): boolean {
  const token = onlyToken(sql)
  if (token !== null && /^(true|false|null)$/i.test(token.text)) return false
  return token?.type === 'string' || partsOf(sql) !== null
}

function toRelation(context: CallContext, sql: string): RelationName {
  const parts = partsOf(sql)
  const [name, schema = null, catalog = null, ...more] = (parts ?? []).map((part) => part.toLowerCase()).toReversed()
  if (name === undefined || more.length > 0) throw context.fail(`Expected the name of a table, got '${sql}'`)
  return { catalog, schema, name }
}

async function columnsOf(context: CallContext, relation: RelationName): Promise<Record<string, string>> {
  const { host } = context.scope.environment
  const columns = (await host?.columnsOf(relation)) ?? null
  if (columns !== null) return columns
  throw context.fail(
    `The columns of '${displayName(relation)}' are not known`,
    'Declare them: in the model that makes it, or in external_models.yaml, which create-external-models writes',
  )
}

/** A string's or a name's own characters. */
async function nameArgument(
  context: CallContext,
  argument: MacroArgument | undefined,
  otherwise: string,
): Promise<string> {
  if (argument === undefined) return otherwise
  const sql = await textOf(context, argument, '')
  const name = nameOf(sql)
  if (name === null) throw context.fail(`Expected a name, got '${sql}'`)
  return name
}

async function stringArgument(context: CallContext, argument: MacroArgument | undefined): Promise<string> {
  return nameArgument(context, argument, '')
}

async function booleanArgument(
  context: CallContext,
  argument: MacroArgument | undefined,
  otherwise: boolean,
): Promise<boolean> {
  if (argument === undefined) return otherwise
  const sql = (await textOf(context, argument, '')).trim()
  if (/^(true|false)$/i.test(sql)) return /^true$/i.test(sql)
  throw context.fail(`Expected TRUE or FALSE, got '${sql}'`)
}
