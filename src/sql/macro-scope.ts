/**
 * What names mean where a text is expanded: in this order a lambda's parameter, a local (`@DEF`, an audit's argument), a
 * variable the language defines (`@start_ds`, `@this_model` …), a blueprint's, one of the project. Names are
 * case-insensitive. Pure.
 */
import { nearest } from '../errors.ts'
import type { RelationName } from '../project/model.ts'
import { datePrefix, dateVariables, DATE_PREFIXES, inclusiveEndUs } from './date-variables.ts'
import type { DatePrefix } from './date-variables.ts'
import { isPredefinedVariable, PREDEFINED_VARIABLES, PROJECT_STATEMENT_VARIABLES } from './macro-names.ts'
import { macroError } from './macro-parts.ts'
import type { Lambda, Position, TextPlace } from './macro-parts.ts'
import type { ProjectMacro } from './project-macro.ts'
import type { VariableValue } from './variable-value.ts'

export type RuntimeStage =
  | 'loading'
  | 'creating'
  | 'evaluating'
  | 'promoting'
  | 'demoting'
  | 'auditing'
  | 'testing'
  | 'before_all'
  | 'after_all'

/** The value of a constant expression: as a literal, and as a condition. */
export interface EvaluatedExpression {
  sql: string
  truth: boolean
}

/** What macros ask of the world. */
export interface MacroHost {
  /** In the order given; a `problem` says in DuckDB's words why an expression has no value. */
  evaluate(expressions: readonly string[]): Promise<(EvaluatedExpression | { problem: string })[]>
  /** Lower-case name → DuckDB type, in order; null where they are not known. */
  columnsOf(relation: RelationName): Promise<Record<string, string> | null>
}

/** What macros mean where a text is expanded. */
export interface MacroEnvironment {
  /** The interval `[start, end)` in milliseconds since the epoch; null for kinds without one (FULL, VIEW). */
  start: number | null
  end: number | null
  /** When the build was asked for, in milliseconds since the epoch. */
  execution: number
  /** Variables of the project. */
  variables: Record<string, VariableValue>
  /** Values of the model's blueprint. Default none. */
  blueprint?: Record<string, VariableValue>
  runtimeStage: RuntimeStage
  /** `@this_model` as SQL: a relation or a sub-query in parentheses. */
  thisModel: string | null
  gateway: string | null
  /** `@model_kind_name`, e.g. `FULL`. */
  modelKind: string | null
  /** `@this_env`, `@schemas`, `@views`: in statements before and after all. Default none. */
  thisEnv?: string | null
  schemas?: readonly string[]
  views?: readonly string[]
  /** `@default_catalog`. Default none. */
  defaultCatalog?: string
  /** Names of this text alone → SQL text, e.g. an audit's arguments. Default none. */
  locals?: Record<string, string>
  /** Texts whose `@DEF` statements hold here, in the file's order. Default none. */
  definitions?: readonly { text: string; place: TextPlace | null }[]
  /** Macros of the project's own by lower-case name. Default none. */
  functions?: ReadonlyMap<string, ProjectMacro>
  /** Default none: what has to be asked of it is an error. */
  host?: MacroHost
}

/** `given`: for a lambda's parameter. */
export type Found = { type: 'value'; value: VariableValue } | { type: 'sql'; sql: string; given?: true }

/** A function made by `@DEF(name, x -> …)`. */
export interface DefinedFunction extends Lambda {
  place: TextPlace | null
}

/** How much has been expanded, and how deep: shared by all scopes of one text. */
export interface Budget {
  calls: number
}

export interface Scope {
  /** By lower-case name; null for an undefined one. */
  find: (name: string) => Found | null
  /** Variables of the project by lower-case name. */
  variables: ReadonlyMap<string, VariableValue>
  blueprint: ReadonlyMap<string, VariableValue>
  /** Variables made by `@DEF` and given as locals, by lower-case name → SQL. */
  locals: Map<string, string>
  functions: Map<string, DefinedFunction>
  /** All names that mean something here. */
  known: () => string[]
  environment: MacroEnvironment
  place: TextPlace | null
  budget: Budget
  /** Calls around. */
  depth: number
}

export function createScope(environment: MacroEnvironment, place: TextPlace | null): Scope {
  const { gateway } = environment
  const variables = lowerCased(environment.variables)
  if (gateway !== null) variables.set('gateway', gateway)
  const blueprint = lowerCased(environment.blueprint ?? {})
  const locals = lowerCased(environment.locals ?? {})

  function find(name: string): Found | null {
    const local = locals.get(name)
    if (local !== undefined) return { type: 'sql', sql: local }
    // Never the project's variable of that name: a fingerprint does not look at those.
    if (isPredefinedVariable(name)) return findPredefined(name, environment)
    const value = findOfProjectStatement(name, environment) ?? blueprint.get(name) ?? variables.get(name)
    return value === undefined ? null : { type: 'value', value }
  }
  function known(): string[] {
    const dates = DATE_PREFIXES.flatMap((prefix) => Object.keys(dateVariables(prefix, 0)))
    const names = [...locals.keys(), ...blueprint.keys(), ...variables.keys(), ...PREDEFINED_VARIABLES, ...dates]
    return names.filter((name) => find(name) !== null)
  }
  const functions = new Map<string, DefinedFunction>()
  return { find, known, variables, blueprint, locals, functions, environment, place, budget: { calls: 0 }, depth: 0 }
}

/** The scope of a lambda's body: `bound` are its parameters, in lower case, and the SQL given for them. */
export function innerScope(scope: Scope, bound: ReadonlyMap<string, string>): Scope {
  return {
    ...scope,
    find(name) {
      const sql = bound.get(name)
      return sql === undefined ? scope.find(name) : { type: 'sql', sql, given: true }
    },
    known: () => [...bound.keys(), ...scope.known()],
  }
}

/** @throws MillraceError MACRO */
export function findOrThrow(name: string, at: Position, scope: Scope): Found {
  const found = scope.find(name)
  if (found !== null) return found
  const where = { place: scope.place, line: at.line, column: at.column }
  const prefix = datePrefix(name)
  if (prefix !== null) {
    const kind = scope.environment.modelKind
    const reason = `start and end are not defined for this kind${kind === null ? '' : ` (${kind})`}`
    throw macroError(`Macro variable '${name}' is undefined: ${reason}`, where, 'Use @execution_ds and its like')
  }
  if (PROJECT_STATEMENT_VARIABLES.has(name)) {
    const hint = 'Only statements of before_all and after_all have it'
    throw macroError(`Macro variable '${name}' is undefined`, where, hint)
  }
  const near = nearest(name, scope.known())
  const hint = near === null ? 'Define it under variables in config.yaml' : `Did you mean @${near}?`
  throw macroError(`Macro variable '${name}' is undefined`, where, hint)
}

function lowerCased<T>(values: Record<string, T>): Map<string, T> {
  return new Map(Object.entries(values).map(([name, value]) => [name.toLowerCase(), value]))
}

function findOfProjectStatement(name: string, environment: MacroEnvironment): VariableValue | undefined {
  const { thisEnv, schemas, views, defaultCatalog } = environment
  if (name === 'default_catalog') return defaultCatalog
  if (name === 'this_env') return thisEnv ?? undefined
  if (name === 'schemas') return schemas === undefined ? undefined : [...schemas]
  if (name === 'views') return views === undefined ? undefined : [...views]
  return undefined
}

function findPredefined(name: string, environment: MacroEnvironment): Found | null {
  const { runtimeStage, modelKind, thisModel } = environment
  if (name === 'runtime_stage') return { type: 'value', value: runtimeStage }
  if (name === 'model_kind_name') return modelKind === null ? null : { type: 'value', value: modelKind }
  if (name === 'this_model') return thisModel === null ? null : { type: 'sql', sql: thisModel }
  const prefix = datePrefix(name)
  const instantUs = prefix === null ? null : instantOf(prefix, environment)
  if (prefix === null || instantUs === null) return null
  const sql = dateVariables(prefix, instantUs)[name]
  return sql === undefined ? null : { type: 'sql', sql }
}

/** Every date variable that has a value here → its SQL. */
export function datesOf(environment: MacroEnvironment): Record<string, string> {
  const dates: Record<string, string> = {}
  for (const prefix of DATE_PREFIXES) {
    const instantUs = instantOf(prefix, environment)
    if (instantUs !== null) Object.assign(dates, dateVariables(prefix, instantUs))
  }
  return dates
}

function instantOf(prefix: DatePrefix, { start, end, execution }: MacroEnvironment): number | null {
  if (prefix === 'start') return start === null ? null : start * 1000
  if (prefix === 'end') return end === null ? null : inclusiveEndUs(end)
  return execution * 1000
}
