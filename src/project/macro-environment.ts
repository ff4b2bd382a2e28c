/** What macros of a model mean when the project is loaded and when a step runs. */
import { toOperand } from '../sql/argument-text.ts'
import type { MacroEnvironment, MacroHost, VariableValue } from '../sql/macros.ts'
import { quoteRelation } from '../sql/identifiers.ts'
import { hasInterval, type Model } from './model.ts'

const EPOCH_DAY = { start: 0, end: 86_400_000 }

/** At load everything renders as of the epoch. */
export function loadingEnvironment(
  project: { variables: Record<string, VariableValue>; gateway: string; defaultCatalog: string },
  model: Model,
  host: MacroHost,
): MacroEnvironment {
  return {
    ...(hasInterval(model.kind) || model.kind.name === 'AUDIT' ? EPOCH_DAY : { start: null, end: null }),
    execution: 0,
    variables: project.variables,
    runtimeStage: 'loading',
    thisModel: model.kind.name === 'AUDIT' ? null : quoteRelation(model.relation),
    locals: kindLocals(model),
    gateway: project.gateway,
    defaultCatalog: project.defaultCatalog,
    modelKind: model.kind.name,
    definitions: macroDefinitions(model),
    host,
  }
}

/** The statements of a model that may be `@DEF(…)`, in the file's order. */
export function macroDefinitions(
  model: Pick<Model, 'pre' | 'post' | 'file'>,
): NonNullable<MacroEnvironment['definitions']> {
  return [...model.pre, ...model.post].map(({ text, line }) => ({ text, place: { file: model.file, line } }))
}

/** An audit of any kind of model knows from when to when it looks. */
export function auditMacros(
  environment: MacroEnvironment,
  interval: readonly [number, number] | null = [EPOCH_DAY.start, EPOCH_DAY.end],
): MacroEnvironment {
  return interval === null ? environment : { ...environment, start: interval[0], end: interval[1] }
}

/** What a standalone audit's `@name` stands for. */
export function kindLocals({ kind }: Model): Record<string, string> {
  return Object.fromEntries(Object.entries(kind.defaults ?? {}).map(([name, text]) => [name, toOperand(text)]))
}
