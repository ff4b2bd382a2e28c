/** A project as loaded: what every verb works on. */
import type { VariableValue } from '../sql/macros.ts'
import type { ProjectConfig } from './config.ts'
import type { ExternalModel } from './external-models.ts'
import type { AuditDefinition, Model } from './model.ts'

export interface Project {
  name: string
  /** Absolute path of its folder. */
  root: string
  config: ProjectConfig
  /** The gateway in use. */
  gateway: string
  /** Catalog that two-part names mean: the gateway's main database. */
  defaultCatalog: string
  /** Every model, disabled ones included, sorted by name. */
  models: Model[]
  externals: ExternalModel[]
  /** The project's own audits by lower-case name. */
  audits: ReadonlyMap<string, AuditDefinition>
  /** Root variables, the gateway's, and those of the command line, by lower-case name. */
  variables: Record<string, VariableValue>
  notices: string[]
}
