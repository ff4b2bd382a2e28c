/** Selections of models to restate → the models they mean. Pure. */
import { MillraceError } from '../errors.ts'
import type { GraphNode, ModelGraph } from './model-graph.ts'
import type { PlanNode } from './plan-context.ts'
import { restatementRefusal } from './restate.ts'
import { selectModels, type Facts } from './select.ts'

/**
 * The models that `expressions` name; those among them that cannot be restated are named in the plan.
 * @throws MillraceError SELECTION; USAGE for an expression that names nothing else than models that cannot be restated.
 */
export function modelsToRestate(
  graph: ModelGraph<GraphNode & Pick<PlanNode, 'kind'>>,
  expressions: readonly string[],
  facts: Facts,
): Set<string> {
  const named = new Set<string>()
  for (const expression of expressions) {
    const found = [...selectModels(graph, { select: expression }, facts)]
    const refused = found.map((name) => [name, restatementRefusal(graph.get(name))] as const)
    const [first] = refused
    if (first !== undefined && refused.every(([, refusal]) => refusal !== null)) {
      throw new MillraceError(
        'USAGE',
        `expected models that can be restated; '${first[0]}' is none: ${first[1] ?? ''}`,
        {
          file: graph.get(first[0]).file,
          hint: 'Restate what reads it; or, for disable_restatement, set it to false for as long as you need to.',
        },
      )
    }
    for (const name of found) named.add(name)
  }
  return named
}

/** What a restatement builds: the models and all that read them, without what is left out on purpose. */
export function restatedSelection(
  graph: ModelGraph,
  named: ReadonlySet<string>,
  { exclude }: { exclude: string | null },
  facts: Facts,
): Set<string> {
  const reached = new Set([...named, ...graph.descendants(named)])
  if (exclude === null) return reached
  const left = selectModels(graph, { exclude }, facts)
  return new Set([...reached].filter((name) => left.has(name)))
}
