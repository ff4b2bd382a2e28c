/** The definitions that a plan's steps are built from. */
import type { PlannedModel } from '../graph/plan-context.ts'
import type { Plan } from '../graph/plan.ts'
import { createDefinition, definitionHash, type DefinitionInput, type ModelDefinition } from '../project/definition.ts'
import type { Model, RelationName } from '../project/model.ts'
import type { Project } from '../project/project.ts'
import { physicalRelation } from '../sql/physical.ts'

export interface HashedDefinition {
  hash: string
  definition: ModelDefinition
}

/** By model name, for every planned model, in topological order. */
export type Definitions = ReadonlyMap<string, HashedDefinition>

export function defineModels(project: Project, models: readonly Model[], plan: Plan): Definitions {
  const byName = new Map(models.map((model) => [model.name, model]))
  const planned = new Map(plan.models.map((model) => [model.name, model]))
  const definitions: Map<string, HashedDefinition> = new Map()
  for (const { name, version } of plan.models) {
    const model = byName.get(name)
    if (model === undefined) continue
    const inputs = model.depends_on.map((input) => [input, inputOf(input, planned, definitions, byName)] as const)
    const own: RelationName = physicalRelation(model.relation, version)
    const definition = createDefinition(model, {
      audits: project.audits,
      variables: project.variables,
      gateway: project.gateway,
      defaultCatalog: project.defaultCatalog,
      inputs: {
        ...Object.fromEntries(inputs),
        ...(model.self_referencing ? { [name]: { type: 'table', relation: own } as const } : {}),
      },
    })
    definitions.set(name, { hash: definitionHash(definition), definition })
  }
  return definitions
}

function inputOf(
  name: string,
  planned: ReadonlyMap<string, PlannedModel>,
  definitions: Definitions,
  models: ReadonlyMap<string, Model>,
): DefinitionInput {
  const parent = planned.get(name)
  const model = models.get(name)
  if (parent === undefined || model === undefined) return { type: 'external' }
  const embedded = definitions.get(name)
  if (parent.kind === 'EMBEDDED' && embedded !== undefined) return { type: 'embedded', definition: embedded.definition }
  return { type: 'table', relation: physicalRelation(model.relation, parent.version) }
}
