/** Macros of a project's own, written in TypeScript under `macros/`. Pure: they are loaded elsewhere. */
import type { VariableValue } from './variable-value.ts'

/** An argument of a macro's call: its SQL as written, and its value where it is a literal or a list of literals. */
export interface MacroArgumentValue {
  /** SQL with the macros in it expanded. */
  sql: string
  /** Items of a list `[a, b]` or `(a, b)` as SQL; null for anything else. */
  items: readonly string[] | null
  /** The literal's value; undefined where the argument is no literal. */
  value: VariableValue | undefined
  /** Of a lambda `x -> …`: its body with SQL for its parameters. Absent for anything else. */
  call?: (...given: string[]) => Promise<string>
}

/** What a macro is told beside its arguments. */
export interface ProjectMacroContext {
  /** Variables of the project by lower-case name. */
  variables: Readonly<Record<string, VariableValue>>
  /** `loading`, `evaluating`, `auditing` … */
  runtimeStage: string
  /** `@start_ds` and its like as they are in this place, by name without `@`; those of the interval only in kinds that have one. */
  dates: Readonly<Record<string, string>>
  /** SQL of `@this_model`; null where there is none. */
  thisModel: string | null
  gateway: string | null
}

export interface ProjectMacro {
  /** Lower case. */
  name: string
  /** @returns SQL that takes the call's place; a list stands for several expressions, `null` for none: the projection or clause is left out. */
  expand: (
    args: { positional: readonly MacroArgumentValue[]; named: Readonly<Record<string, MacroArgumentValue>> },
    context: ProjectMacroContext,
  ) => Promise<string | readonly string[] | null>
}
