/** A tested model as a definition whose inputs are the test's tables. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { MillraceError, nearest } from '../errors.ts'
import { createDefinition, type DefinitionInput, type ModelDefinition } from '../project/definition.ts'
import type { Model, RelationName } from '../project/model.ts'
import { isSystemName } from '../project/names.ts'
import type { Project } from '../project/project.ts'
import type { UnitTest } from '../project/unit-tests/unit-test.ts'

/** @throws MillraceError TEST when the project has no such model, or one that has no query. */
export function testedModel({ models }: Project, test: UnitTest): Model {
  const model = models.find(({ name }) => name === test.model)
  if (model === undefined) {
    const near = nearest(
      test.model,
      models.map(({ name }) => name),
    )
    throw new MillraceError(
      'TEST',
      `expected a model of this project, got '${test.model}'`,
      near === null ? {} : { hint: `Did you mean '${near}'?` },
    )
  }
  if (model.query === null)
    throw new MillraceError('TEST', `expected a model with a query; '${model.name}' is of kind ${model.kind.name}`)
  return model
}

/** Where a test's rows of a name are. */
export function inputTable(name: string, schema: string): RelationName {
  return { catalog: null, schema, name: name.replaceAll('.', '__') }
}

/** An embedded model that the test gives no rows of is inlined. @throws MillraceError TEST for each input that is missing. */
export function testDefinition(project: Project, test: UnitTest, schema: string): ModelDefinition {
  const models = new Map(project.models.filter(({ enabled }) => enabled).map((model) => [model.name, model]))
  const { audits, gateway, defaultCatalog } = project
  const variables = { ...project.variables, ...test.variables }

  function define(model: Model): ModelDefinition {
    const names = model.self_referencing ? [...model.depends_on, model.name] : model.depends_on
    const inputs = Object.fromEntries(names.map((name) => [name, inputOf(name, model)] as const))
    return createDefinition(model, { audits, variables, gateway, defaultCatalog, inputs })
  }

  function inputOf(name: string, reader: Model): DefinitionInput {
    if (name in test.inputs || name === reader.name) return { type: 'table', relation: inputTable(name, schema) }
    const parent = models.get(name)
    if (parent?.kind.name === 'EMBEDDED') return { type: 'embedded', definition: define(parent) }
    if (parent === undefined && (isSystemName(name) || isFile(name, project.root))) return { type: 'external' }
    throw new MillraceError('TEST', `expected rows of '${name}', which model '${reader.name}' reads`, {
      hint: `add '${name}' to the test's inputs, as \`rows: []\` if it may be empty`,
    })
  }
  return define(testedModel(project, test))
}

function isFile(name: string, root: string): boolean {
  return /[/\\*?]|^[a-z][a-z0-9+.-]*:/i.test(name) || existsSync(resolve(root, name))
}
