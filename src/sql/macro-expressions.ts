/** Macro functions that are one expression: keys, arithmetic with gaps, distances, places of tables. Pure. */
import { toOperand } from './argument-text.ts'
import { quoteString } from './identifiers.ts'
import { bindArguments, onlyString, partsOf, positionalItems, single, textOf } from './macro-calls.ts'
import type { CallContext, Expansion, MacroFunction } from './macro-calls.ts'
import { isToken, tokenize } from './lexer.ts'

export const EXPRESSION_FUNCTIONS: Readonly<Record<string, MacroFunction>> = {
  generate_surrogate_key: surrogateKey,
  safe_add: (context) => safeSum(context, '+'),
  safe_sub: (context) => safeSum(context, '-'),
  safe_div: safeDivision,
  haversine_distance: haversineDistance,
  resolve_template: resolveTemplate,
}

const KEY_OF_NULL = "'_sqlmesh_surrogate_key_null_'"

async function surrogateKey(context: CallContext): Promise<Expansion> {
  const named = context.call.args.filter(({ name }) => name !== null)
  const fields = await positionalItems(context)
  if (fields.length === 0 || named.some(({ name }) => name !== 'hash_function') || named.length > 1) {
    throw context.fail("Expected @GENERATE_SURROGATE_KEY(field, …[, hash_function := 'MD5'])")
  }
  const hash = await nameOrString(context, named[0], 'MD5')
  if (!/^[\p{L}_][\p{L}\p{N}_]*$/u.test(hash)) {
    throw context.fail(`Expected the name of a function as hash_function, got '${hash}'`)
  }
  const texts = fields.map((field) => `COALESCE(CAST(${field} AS TEXT), ${KEY_OF_NULL})`)
  return single(`${hash}(${texts.join(" || '|' || ")})`)
}

async function safeSum(context: CallContext, operator: '+' | '-'): Promise<Expansion> {
  const fields = await positionalItems(context)
  if (fields.length === 0 || context.call.args.some(({ name }) => name !== null)) {
    throw context.fail(`Expected @${context.call.name.toUpperCase()}(field, …)`)
  }
  const missing = fields.map((field) => `${toOperand(field)} IS NULL`).join(' AND ')
  const sum = fields.map((field) => `COALESCE(${field}, 0)`).join(` ${operator} `)
  return single(`CASE WHEN ${missing} THEN NULL ELSE ${sum} END`)
}

async function safeDivision(context: CallContext): Promise<Expansion> {
  const { numerator, denominator } = bindArguments(context, ['numerator', 'denominator'], 2)
  const top = toOperand(await textOf(context, numerator, 'NULL'))
  return single(`${top} / NULLIF(${await textOf(context, denominator, 'NULL')}, 0)`)
}

/** Twice the radius of the earth in miles. */
const DIAMETER_MI = 7922
const PER_MILE: Readonly<Record<string, string>> = { mi: '1.0', km: '1.60934' }

async function haversineDistance(context: CallContext): Promise<Expansion> {
  const args = bindArguments(context, ['lat1', 'lon1', 'lat2', 'lon2', 'unit'], 4)
  const unit = await nameOrString(context, args.unit, 'mi')
  const rate = PER_MILE[unit]
  if (rate === undefined) throw context.fail(`Expected the unit 'mi' or 'km', got '${unit}'`)
  const [lat1, lon1, lat2, lon2] = [
    toOperand(await textOf(context, args.lat1, 'NULL')),
    toOperand(await textOf(context, args.lon1, 'NULL')),
    toOperand(await textOf(context, args.lat2, 'NULL')),
    toOperand(await textOf(context, args.lon2, 'NULL')),
  ]
  const half = (to: string, from: string): string => `POWER(SIN(RADIANS((${to} - ${from}) / 2)), 2)`
  const chord = `(${half(lat2, lat1)}) + (COS(RADIANS(${lat1})) * COS(RADIANS(${lat2})) * ${half(lon2, lon1)})`
  return single(`${DIAMETER_MI} * ASIN(SQRT(${chord})) * ${rate}`)
}

/** A string, or a relation with `mode := 'table'`, with the parts of `@this_model` for its placeholders. */
async function resolveTemplate(context: CallContext): Promise<Expansion> {
  const { template, mode } = bindArguments(context, ['template', 'mode'], 1)
  const text = onlyString(await textOf(context, template, ''))
  if (text === null) throw context.fail("Expected @RESOLVE_TEMPLATE('template'[, mode := 'literal' or 'table'])")
  const kind = (await nameOrString(context, mode, 'literal')).toLowerCase()
  if (kind !== 'literal' && kind !== 'table') {
    throw context.fail(`Expected the mode 'literal' or 'table', got '${kind}'`)
  }
  const parts = thisModelParts(context.scope.environment.thisModel)
  if (parts === null) throw context.fail('Expected @this_model to have a value for @RESOLVE_TEMPLATE, there is none')
  const [name = '', schema = '', catalog = ''] = parts.toReversed()
  const resolved = text
    .replaceAll('@{catalog_name}', catalog)
    .replaceAll('@{schema_name}', schema)
    .replaceAll('@{table_name}', name)
  return single(kind === 'table' ? resolved : quoteString(resolved))
}

/** The parts of a relation's name, also of the one a sub-query `(SELECT … FROM relation …)` reads. */
function thisModelParts(sql: string | null): string[] | null {
  if (sql === null) return null
  const parts = partsOf(sql)
  if (parts !== null) return parts
  const tokens = tokenize(sql).filter(({ type }) => type !== 'comment')
  const from = tokens.findIndex((token) => isToken(token, 'FROM'))
  let end = from + 1
  while (isToken(tokens[end + 1], '.')) end += 2
  const [start, last] = [tokens[from + 1], tokens[end]]
  return from === -1 || start === undefined || last === undefined ? null : partsOf(sql.slice(start.start, last.end))
}

async function nameOrString(
  context: CallContext,
  argument: CallContext['call']['args'][number] | undefined,
  otherwise: string,
): Promise<string> {
  const sql = await textOf(context, argument, quoteString(otherwise))
  return onlyString(sql) ?? sql
}
