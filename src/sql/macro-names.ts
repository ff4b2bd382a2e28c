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

export function isMacroFunction(name: string): boolean {
  return MACRO_FUNCTIONS.has(name)
}

/** Variables the language defines beside the date variables; `gateway` counts as a variable of the project. */
export const PREDEFINED_VARIABLES: ReadonlySet<string> = new Set(['runtime_stage', 'this_model', 'model_kind_name'])

/** Variables SQLMesh defines and Millrace does not yet; a project may have its own of that name. */
export const LATER_VARIABLES: ReadonlySet<string> = new Set(['default_catalog', 'this_env', 'schemas', 'views'])

/** Whether the macro language gives `name` its value: a date variable, `runtime_stage`, `this_model` … */
export function isPredefinedVariable(name: string): boolean {
  return PREDEFINED_VARIABLES.has(name) || datePrefix(name) !== null
}
