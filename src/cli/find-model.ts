/** The model that a person means by a name. */
import { MillraceError, nearest } from '../errors.ts'
import type { Model } from '../project/model.ts'
import type { Project } from '../project/project.ts'

/**
 * As a selection reads names: the whole name, with or without the default catalog, else the last part if only one model
 * has it; case does not matter. Disabled models count.
 * @throws MillraceError UNKNOWN_MODEL, with the nearest name or the names it may mean.
 */
export function findModel(project: Project, written: string): Model {
  const name = written.toLowerCase()
  const { models, defaultCatalog } = project
  const whole = models.find((model) => model.name === name || `${defaultCatalog}.${model.name}` === name)
  if (whole !== undefined) return whole
  const short = name.includes('.') ? [] : models.filter((model) => model.relation.name === name)
  const [only] = short
  if (only !== undefined && short.length === 1) return only
  throw unknownModel(project, written, short)
}

function unknownModel({ models, externals }: Project, written: string, short: readonly Model[]): MillraceError {
  if (short.length > 1) {
    const names = short.map((model) => model.name).join(', ')
    return new MillraceError(
      'UNKNOWN_MODEL',
      `expected the name of one model, got '${written}', which may be ${names}`,
      {
        hint: 'Write the whole name.',
      },
    )
  }
  const name = written.toLowerCase()
  if (externals.some((external) => external.name === name)) {
    return new MillraceError('UNKNOWN_MODEL', `expected the name of a model; '${written}' is an external table`, {
      hint: 'Nothing is built for it: models only read it.',
    })
  }
  const near = nearest(name, [...models.map((model) => model.name), ...models.map((model) => model.relation.name)])
  return new MillraceError('UNKNOWN_MODEL', `expected the name of a model of this project, got '${written}'`, {
    hint: near === null ? 'The verb `models` lists the names.' : `Did you mean '${near}'?`,
  })
}
