/** Names the macro language itself defines, all in lower case. Pure. */
import { datePrefix } from './date-variables.ts'

/** Every function of SQLMesh's macro language. */
export const MACRO_FUNCTIONS: ReadonlySet<string> = new Set(
  (
    'and blueprint_var date_spine deduplicate def each eval filter generate_surrogate_key group_by ' +
    'haversine_distance having if join limit or order_by pivot reduce resolve_template safe_add safe_div safe_sub ' +
    'sql star union var where with'
  ).split(' '),
)

const WITH_LAMBDA = new Set(['def', 'each', 'filter', 'reduce'])

export function isMacroFunction(name: string): boolean {
  return MACRO_FUNCTIONS.has(name)
}

/** Whether `x -> …` is a lambda among the arguments of `name`, and not DuckDB's operator: of a project's own macros, too. */
export function takesLambda(name: string): boolean {
  return !MACRO_FUNCTIONS.has(name) || WITH_LAMBDA.has(name)
}

/** Variables the language defines beside the date variables; `gateway` counts as a variable of the project. */
export const PREDEFINED_VARIABLES: ReadonlySet<string> = new Set(['runtime_stage', 'this_model', 'model_kind_name'])

/** Variables of `before_all` and `after_all`; elsewhere a project may have its own of that name. */
export const PROJECT_STATEMENT_VARIABLES: ReadonlySet<string> = new Set(['this_env', 'schemas', 'views'])

/** Whether the macro language gives `name` its value: a date variable, `runtime_stage`, `this_model` … */
export function isPredefinedVariable(name: string): boolean {
  return PREDEFINED_VARIABLES.has(name) || datePrefix(name) !== null
}
