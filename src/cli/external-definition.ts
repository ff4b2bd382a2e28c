/** Definitions for reading, not for building: every table is left as its name is written, embedded models are inlined. */
import { createDefinition, type ModelDefinition } from '../project/definition.ts'
import type { Model } from '../project/model.ts'
import type { Project } from '../project/project.ts'

/** The graph of enabled models has no cycle; loading the project guarantees it. */
export function externalDefinition(project: Project, model: Model): ModelDefinition {
  const embedded = new Map(
    project.models.filter(({ enabled, kind }) => enabled && kind.name === 'EMBEDDED').map((one) => [one.name, one]),
  )
  const defined = new Map<string, ModelDefinition>()

  function define(one: Model): ModelDefinition {
    const known = defined.get(one.name)
    if (known !== undefined) return known
    const inputs = one.depends_on.map((name) => {
      const parent = embedded.get(name)
      const input = parent === undefined ? { type: 'external' } : { type: 'embedded', definition: define(parent) }
      return [name, input] as const
    })
    const { audits, variables, gateway, defaultCatalog } = project
    const definition = createDefinition(one, {
      audits,
      variables,
      gateway,
      defaultCatalog,
      inputs: Object.fromEntries(inputs) as ModelDefinition['inputs'],
    })
    defined.set(one.name, definition)
    return definition
  }
  return define(model)
}
