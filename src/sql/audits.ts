/** Audits: a call in a model's header → the SQL that returns its bad rows. Pure. */
import { MillraceError, nearest } from '../errors.ts'
import type { AuditCall, AuditDefinition } from '../project/model.ts'
import { toOperand, withoutComments } from './argument-text.ts'
import { assertArgument, isGiven, type AuditArguments, type BuiltInAudit } from './audit-arguments.ts'
import { BUILT_IN_AUDIT_QUERIES } from './built-in-audits.ts'
import { isToken, tokenize } from './lexer.ts'
import { parseMacros } from './macro-syntax.ts'
import { expandMacros, undefinedVariables, usedVariables } from './macros.ts'
import type { MacroEnvironment, TextPlace } from './macros.ts'

const NON_BLOCKING = '_non_blocking'

/** Names of the built-in audits, each with and without `_non_blocking`. */
export const BUILT_IN_AUDITS: ReadonlySet<string> = new Set(
  [...BUILT_IN_AUDIT_QUERIES.keys()].flatMap((name) => [name, `${name}${NON_BLOCKING}`]),
)

/**
 * SQL that returns the rows `call` finds bad. `definition` is the project's own audit, null for a built-in one. A
 * definition's arguments are `@name` in its query: the call's, else its defaults. `place` is where the call stands.
 * @throws MillraceError AUDIT for a missing, unknown or unusable argument, and what `expandMacros` throws
 */
export async function auditQuery(
  call: AuditCall,
  definition: AuditDefinition | null,
  environment: MacroEnvironment,
  place: TextPlace | null = null,
): Promise<string> {
  assertAuditSupported(call, definition, place)
  const args = await expandArguments(call.args, environment, place)
  if (definition !== null) return projectAuditQuery({ call, definition, args, place }, environment)
  const from = await expandMacros('@this_model', environment, place)
  return locate(place, () => builtInQuery(call, builtIn(call, place), { args, from }))
}

/** `SELECT COUNT(*)` of what `auditSql` returns; a semicolon or comment after it does no harm. */
export function countQuery(auditSql: string): string {
  return `SELECT COUNT(*) FROM (${untilEnd(auditSql)}) AS audit`
}

/** A query without a semicolon or comment after it, as a part of another one. */
export function untilEnd(sql: string): string {
  const last = tokenize(sql).findLast((token) => token.type !== 'comment' && !isToken(token, ';'))
  return sql.slice(0, last?.end ?? 0)
}

/** @throws MillraceError AUDIT for an unknown audit, an unknown argument, and a built-in audit's missing one */
export function assertAuditSupported(
  call: AuditCall,
  definition: AuditDefinition | null = null,
  place: TextPlace | null = null,
): void {
  if (definition !== null) {
    // What a Jinja query can be given is not known without running it.
    const parts = parseMacros(definition.query.text, { file: definition.file, line: definition.query.line })
    const isJinja = parts.some(({ type }) => type === 'jinja')
    if (!isJinja) assertKnownArguments(call, definitionArguments(definition), place)
    return
  }
  const { required, optional } = builtIn(call, place)
  const names = [...Object.keys(required), ...Object.keys(optional)]
  assertKnownArguments(call, names, place)
  const given = new Set(Object.keys(call.args).map((name) => name.toLowerCase()))
  const missing = Object.keys(required).find((name) => !given.has(name))
  if (missing !== undefined) throw missingArgument(call, missing, { names, place })
}

/** Whether an audit may read more than the audited model: a built-in one does where an argument says so. */
export function auditReadsTables({ name, args }: AuditCall, definition: AuditDefinition | null): boolean {
  return (
    definition !== null || readsAnother(name) || Object.values(args).some((text) => /\b(select|from)\b/i.test(text))
  )
}

function readsAnother(name: string): boolean {
  return BUILT_IN_AUDIT_QUERIES.get(withoutVariant(name))?.required['to'] === 'relation'
}

function withoutVariant(name: string): string {
  return name.endsWith(NON_BLOCKING) ? name.slice(0, -NON_BLOCKING.length) : name
}

/** What the call says, else a `_non_blocking` name, else the definition; true when none says anything. */
export function auditIsBlocking(call: AuditCall, definition: AuditDefinition | null): boolean {
  return call.blocking ?? (call.name.endsWith(NON_BLOCKING) ? false : (definition?.blocking ?? true))
}

function builtInQuery(
  { name }: AuditCall,
  { required, optional, oneOf, query }: BuiltInAudit,
  { args, from }: { args: AuditArguments; from: string },
): string {
  for (const [argument, type] of Object.entries({ ...required, ...optional })) {
    const text = args[argument]
    if (text !== undefined) assertArgument(name, argument, { type, text })
  }
  if (oneOf !== undefined && !oneOf.some((argument) => isGiven(args[argument]))) {
    const names = oneOf.map((argument) => `'${argument}'`).join(' or ')
    throw new MillraceError('AUDIT', `Audit '${name}' expects ${names}, got neither`)
  }
  return query(args, from)
}

interface ProjectAudit {
  call: AuditCall
  definition: AuditDefinition
  args: AuditArguments
  place: TextPlace | null
}

async function projectAuditQuery(
  { call, definition, args, place }: ProjectAudit,
  environment: MacroEnvironment,
): Promise<string> {
  const { query } = definition
  const definitionPlace = { file: definition.file, line: definition.line }
  const defaults = await expandArguments(definition.defaults, environment, definitionPlace)
  const entries = Object.entries({ ...defaults, ...args }).map(([name, text]) => [name, toOperand(text)] as const)
  const local = { ...environment, locals: { ...environment.locals, ...Object.fromEntries(entries) } }
  const queryPlace = { file: definition.file, line: query.line }
  const [missing] = undefinedVariables(query.text, local, queryPlace)
  if (missing !== undefined) throw missingArgument(call, missing, { names: definitionArguments(definition), place })
  return expandMacros(query.text, local, queryPlace)
}

/** Lower-case names → texts with their macros expanded and without comments, which could swallow what follows. */
async function expandArguments(
  args: Record<string, string>,
  environment: MacroEnvironment,
  place: TextPlace | null,
): Promise<AuditArguments> {
  const entries = await Promise.all(
    Object.entries(args).map(
      async ([name, text]) =>
        [name.toLowerCase(), withoutComments(await expandMacros(text, environment, place))] as const,
    ),
  )
  return Object.fromEntries(entries)
}

function builtIn(call: AuditCall, place: TextPlace | null): BuiltInAudit {
  const name = withoutVariant(call.name)
  const audit = BUILT_IN_AUDIT_QUERIES.get(name)
  if (audit !== undefined) return audit
  const names = [...BUILT_IN_AUDIT_QUERIES.keys()]
  throw unknown(`Audit '${call.name}' is neither built in nor defined by the project`, name, { names, place })
}

/** What the query of a project's audit can be given. */
function definitionArguments({ query, defaults, file }: AuditDefinition): string[] {
  const used = usedVariables(query.text, { file, line: query.line })
  return [...new Set([...Object.keys(defaults).map((name) => name.toLowerCase()), ...used])].sort()
}

function assertKnownArguments(call: AuditCall, names: string[], place: TextPlace | null): void {
  for (const name of Object.keys(call.args)) {
    if (names.includes(name.toLowerCase())) continue
    throw unknown(`Audit '${call.name}' has no argument '${name}'`, name, { names, place })
  }
}

interface Known {
  names: string[]
  place: TextPlace | null
}

function missingArgument(call: AuditCall, name: string, { names, place }: Known): MillraceError {
  const hint = `Its arguments are: ${names.join(', ')}`
  return new MillraceError('AUDIT', `Audit '${call.name}' needs the argument '${name}'`, { ...place, hint })
}

function unknown(message: string, name: string, { names, place }: Known): MillraceError {
  const near = nearest(name, names)
  const known = names.length === 0 ? 'There are none' : `Known: ${names.join(', ')}`
  return new MillraceError('AUDIT', message, {
    ...place,
    hint: near === null ? known : `Did you mean '${near}'? ${known}`,
  })
}

function locate<T>(place: TextPlace | null, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof MillraceError) || error.file !== null || place === null) throw error
    throw new MillraceError(error.code, error.message, {
      ...place,
      ...(error.hint === null ? {} : { hint: error.hint }),
    })
  }
}
