/**
 * What names mean where a text is expanded: in this order a local, a variable the language defines (`@start_ds`,
 * `@this_model` …), a variable of the project. Names are case-insensitive. Pure.
 */
import { nearest } from '../errors.ts'
import { datePrefix, dateVariables, DATE_PREFIXES, inclusiveEndUs } from './date-variables.ts'
import type { DatePrefix } from './date-variables.ts'
import { isPredefinedVariable, LATER_VARIABLES, PREDEFINED_VARIABLES } from './macro-names.ts'
import { macroError, notYetError } from './macro-syntax.ts'
import type { TextPlace } from './macro-syntax.ts'
import type { VariableValue } from './variable-value.ts'

export type RuntimeStage = 'loading' | 'creating' | 'evaluating' | 'auditing' | 'promoting' | 'testing'

/** What macros mean where a text is expanded. */
export interface MacroEnvironment {
  /** The interval `[start, end)` in milliseconds since the epoch; null for kinds without one (FULL, VIEW). */
  start: number | null
  end: number | null
  /** When the build was asked for, in milliseconds since the epoch. */
  execution: number
  /** Variables of the project. */
  variables: Record<string, VariableValue>
  runtimeStage: RuntimeStage
  /** `@this_model` as SQL: a relation or a sub-query in parentheses. */
  thisModel: string | null
  gateway: string | null
  /** `@model_kind_name`, e.g. `FULL`. */
  modelKind: string | null
  /** Names of this text alone → SQL text, e.g. an audit's arguments. Default none. */
  locals?: Record<string, string>
}

export type Found = { type: 'value'; value: VariableValue } | { type: 'sql'; sql: string }

export interface Scope {
  /** By lower-case name; null for an undefined one. */
  find: (name: string) => Found | null
  /** Variables of the project by lower-case name. */
  variables: ReadonlyMap<string, VariableValue>
  /** All names that mean something here. */
  known: () => string[]
  environment: MacroEnvironment
  place: TextPlace | null
}

export function createScope(environment: MacroEnvironment, place: TextPlace | null): Scope {
  const { gateway } = environment
  const variables = new Map(Object.entries(environment.variables).map(([name, value]) => [name.toLowerCase(), value]))
  if (gateway !== null) variables.set('gateway', gateway)
  const locals = new Map(Object.entries(environment.locals ?? {}).map(([name, sql]) => [name.toLowerCase(), sql]))

  function find(name: string): Found | null {
    const local = locals.get(name)
    if (local !== undefined) return { type: 'sql', sql: local }
    // Never the project's variable of that name: a fingerprint does not look at those.
    if (isPredefinedVariable(name)) return findPredefined(name, environment)
    const value = variables.get(name)
    return value === undefined ? null : { type: 'value', value }
  }
  function known(): string[] {
    const dates = DATE_PREFIXES.flatMap((prefix) => Object.keys(dateVariables(prefix, 0)))
    const names = [...locals.keys(), ...variables.keys(), ...PREDEFINED_VARIABLES, ...dates]
    return names.filter((name) => find(name) !== null)
  }
  return { find, known, variables, environment, place }
}

/** @throws MillraceError MACRO, NOT_YET */
export function findOrThrow(name: string, line: number, scope: Scope): Found {
  const found = scope.find(name)
  if (found !== null) return found
  if (LATER_VARIABLES.has(name)) {
    throw notYetError(`Macro variable @${name} is not supported yet`, { ...scope, line })
  }
  const where = { ...scope, line }
  const prefix = datePrefix(name)
  if (prefix !== null) {
    const kind = scope.environment.modelKind
    const reason = `start and end are not defined for this kind${kind === null ? '' : ` (${kind})`}`
    throw macroError(`Macro variable '${name}' is undefined: ${reason}`, where, 'Use @execution_ds and its like')
  }
  const near = nearest(name, scope.known())
  const hint = near === null ? 'Define it under variables in config.yaml' : `Did you mean @${near}?`
  throw macroError(`Macro variable '${name}' is undefined`, where, hint)
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

function instantOf(prefix: DatePrefix, { start, end, execution }: MacroEnvironment): number | null {
  if (prefix === 'start') return start === null ? null : start * 1000
  if (prefix === 'end') return end === null ? null : inclusiveEndUs(end)
  return execution * 1000
}
