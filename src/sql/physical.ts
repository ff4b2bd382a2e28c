/** Names of physical tables and of the views people read. Pure. */
import type { RelationName } from '../project/model.ts'

/** `millrace__<schema>.<schema>__<model>__<version>`, in the database that holds the model. */
export function physicalRelation(model: RelationName, version: string): RelationName {
  const schema = model.schema ?? 'main'
  return { catalog: null, schema: `millrace__${schema}`, name: `${schema}__${model.name}__${version}` }
}

/** The view of a model: `a.b` in `prod`, `a__dev.b` in `dev`; in the model's catalog. */
export function environmentView(model: RelationName, environment: string): RelationName {
  const schema = model.schema ?? 'main'
  return {
    catalog: model.catalog,
    schema: environment === 'prod' ? schema : `${schema}__${environment}`,
    name: model.name,
  }
}
