/** The definitions that a plan's steps are built from. */
import type { PlannedModel } from '../../graph/plan-context.ts'
import {
  calledAudits,
  createDefinition,
  definitionHash,
  type DefinitionCatalogs,
  type DefinitionInput,
  type DefinitionParts,
  type ModelDefinition,
} from '../../project/definition.ts'
import type { Model, RelationName } from '../../project/model.ts'
import type { Project } from '../../project/project.ts'
import { physicalRelation } from '../../sql/physical.ts'

export interface HashedDefinition {
  hash: string
  definition: ModelDefinition
}

/** By model name, for every planned model, in topological order. */
export type Definitions = ReadonlyMap<string, HashedDefinition>

export interface DefineOptions {
  plan: { models: readonly PlacedModel[] }
  /** Null where all tables are in one database. */
  catalogs: ProjectCatalogs | null
}

/** A model in the version that it is read in. */
type PlacedModel = Pick<PlannedModel, 'name' | 'kind' | 'version'>

export interface ProjectCatalogs {
  /** Name of the main database's. */
  main: string
  /** Names of all others. */
  attached: readonly string[]
}

export function defineModels(
  project: Project,
  models: readonly Model[],
  { plan, catalogs }: DefineOptions,
): Definitions {
  const byName = new Map(models.map((model) => [model.name, model]))
  const planned = new Map(plan.models.map((model) => [model.name, model]))
  const definitions: Map<string, HashedDefinition> = new Map()
  for (const { name, version } of plan.models) {
    const model = byName.get(name)
    if (model === undefined) continue
    const context = { planned, definitions, models: byName, catalogs }
    const reads = [...model.depends_on, ...model.audit_depends_on].filter((input) => input !== name)
    const inputs = reads.map((input) => [input, inputOf(input, context)] as const)
    const readsItself = model.self_referencing || model.audit_depends_on.includes(name)
    const own = tableOf(model, version, catalogs)
    const parts: DefinitionParts = {
      audits: project.audits,
      variables: project.variables,
      failures: project.config.millrace.failures ?? null,
      gateway: project.gateway,
      defaultCatalog: project.defaultCatalog,
      inputs: {
        ...Object.fromEntries(inputs),
        ...(readsItself ? { [name]: { type: 'table', relation: own } as const } : {}),
      },
    }
    const definition = createDefinition(model, { ...parts, catalogs: catalogsOf(model, parts, context) })
    definitions.set(name, { hash: definitionHash(definition), definition })
  }
  return definitions
}

interface InputContext {
  planned: ReadonlyMap<string, PlacedModel>
  definitions: Definitions
  models: ReadonlyMap<string, Model>
  catalogs: ProjectCatalogs | null
}

function inputOf(name: string, { planned, definitions, models, catalogs }: InputContext): DefinitionInput {
  const parent = planned.get(name)
  const model = models.get(name)
  if (parent === undefined || model === undefined) return { type: 'external' }
  const embedded = definitions.get(name)
  if (parent.kind === 'EMBEDDED' && embedded !== undefined) return { type: 'embedded', definition: embedded.definition }
  return { type: 'table', relation: tableOf(model, parent.version, catalogs) }
}

/** With the name of its catalog where there are several: whoever reads it may be in another one. */
function tableOf({ relation }: Model, version: string, catalogs: ProjectCatalogs | null): RelationName {
  return {
    ...physicalRelation(relation, version),
    catalog: catalogs === null ? null : (relation.catalog ?? catalogs.main),
  }
}

function catalogsOf(
  model: Model,
  { inputs, audits }: DefinitionParts,
  { models, definitions, catalogs }: InputContext,
): DefinitionCatalogs | null {
  if (catalogs === null) return null
  const own = model.relation.catalog ?? catalogs.main
  const reads = new Set<string>()
  for (const [name, input] of Object.entries(inputs)) {
    if (input.type === 'table') reads.add(input.relation.catalog ?? catalogs.main)
    // Whatever else a name without a catalog is, it is in the main database.
    if (input.type === 'external') reads.add(catalogs.main)
    const isOpened = input.type === 'embedded' || models.get(name)?.kind.name === 'VIEW'
    for (const read of isOpened ? (definitions.get(name)?.definition.catalogs?.reads ?? []) : []) reads.add(read)
  }
  // Statements and audits are not parsed: what speaks of a catalog may read it.
  const queries = calledAudits(model, audits).map(({ query }) => query)
  const texts = [...model.pre, ...(model.query === null ? [] : [model.query]), ...model.post, ...queries]
  const words = new Set(texts.flatMap(({ text }) => text.toLowerCase().match(/[\w$]+|"[^"]+"/g) ?? []))
  for (const name of catalogs.attached) if (words.has(name) || words.has(`"${name}"`)) reads.add(name)
  reads.delete(own)
  return { own, main: catalogs.main, reads: [...reads].sort() }
}
