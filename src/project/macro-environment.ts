/** What macros of a model mean when the project is loaded and when a step runs. */
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
    ...(hasInterval(model.kind) ? EPOCH_DAY : { start: null, end: null }),
    execution: 0,
    variables: project.variables,
    runtimeStage: 'loading',
    thisModel: quoteRelation(model.relation),
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
