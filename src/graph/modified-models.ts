/** Models that say something else than what an environment has of them. Pure. */
import { ownDataChanged } from './choose-version.ts'
import type { ModelGraph } from './model-graph.ts'
import type { EnvironmentEntry, PlanContext, PlanNode } from './plan-context.ts'

export type KnownModels = Pick<PlanContext, 'environment' | 'versions' | 'coverage' | 'project' | 'hash'>

/** New ones, and those whose own definition, metadata or file changed; not those that only read such a model. */
export function modifiedModels(graph: ModelGraph<PlanNode>, known: KnownModels): Set<string> {
  return new Set(graph.names.filter((name) => isModified(graph.get(name), known.environment.get(name), known)))
}

function isModified(node: PlanNode, current: EnvironmentEntry | undefined, known: KnownModels): boolean {
  if (current === undefined || current.metadataHash !== node.metadataHash) return true
  if (node.kind.name === 'SEED' && known.coverage.get(current.version)?.inputs !== node.content) return true
  return ownDataChanged(node, current, known)
}
