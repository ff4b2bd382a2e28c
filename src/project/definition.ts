/**
 * A model as it was planned: everything a step needs to build it, stored in the state, so that an edit of the
 * folder in mid-build waits for the next build.
 */
import type { VariableValue } from '../sql/macros.ts'
import { usedVariables } from '../sql/macros.ts'
import { sha256 } from './fingerprint.ts'
import { kindStatements, type AuditDefinition, type Model, type RelationName } from './model.ts'

/** What a name that a model reads stands for. */
export type DefinitionInput =
  | { type: 'table'; relation: RelationName }
  | { type: 'embedded'; definition: ModelDefinition }
  | { type: 'external' }

export interface ModelDefinition {
  model: Model
  /** The project's and the model's own audits that it calls. */
  audits: AuditDefinition[]
  /** Values of the variables it uses. */
  variables: Record<string, VariableValue>
  /** What becomes of its audits' bad rows, where millrace.yaml says something. */
  failures?: KeepFailures
  gateway: string
  defaultCatalog: string
  /** Where the project's tables are in several databases; absent in one. */
  catalogs?: DefinitionCatalogs
  /** By the name in `depends_on`. */
  inputs: Record<string, DefinitionInput>
}

export interface KeepFailures {
  keep: boolean
  /** At most. */
  rows: number
}

/** Names of catalogs, as the connection has them. */
export interface DefinitionCatalogs {
  /** The model's table is there. */
  own: string
  /** What names without a catalog mean. */
  main: string
  /** Others that are read, also through views and embedded models. */
  reads: readonly string[]
}

export interface DefinitionParts {
  audits: ReadonlyMap<string, AuditDefinition>
  variables: Record<string, VariableValue>
  failures?: KeepFailures | null
  gateway: string
  defaultCatalog: string
  /** Null where all tables are in one database. */
  catalogs?: DefinitionCatalogs | null
  inputs: Record<string, DefinitionInput>
}

export function createDefinition(model: Model, parts: DefinitionParts): ModelDefinition {
  const audits = calledAudits(model, parts.audits)
  const texts = [
    ...[...model.pre, ...model.post, ...audits.map((audit) => audit.query)].map(({ text }) => text),
    model.query?.text ?? '',
    ...kindStatements(model.kind),
    ...audits.flatMap((audit) => Object.values(audit.defaults)),
    ...model.audits.flatMap((call) => Object.values(call.args)),
    ...Object.values(model.kind.defaults ?? {}),
  ]
  const used = new Set(texts.flatMap((text) => [...usedVariables(text)]))
  const variables = Object.entries(parts.variables).filter(([name]) => used.has(name))
  const { gateway, defaultCatalog, catalogs = null, failures = null, inputs } = parts
  return {
    model,
    audits,
    variables: Object.fromEntries(variables),
    ...(failures === null ? {} : { failures }),
    gateway,
    defaultCatalog,
    ...(catalogs === null ? {} : { catalogs }),
    inputs,
  }
}

/** The name a definition is stored and asked for by. */
export function definitionHash(definition: ModelDefinition): string {
  return sha256(definition).slice(0, 20)
}

/** The definitions of the non-built-in audits a model calls. */
export function calledAudits(model: Model, projectAudits: ReadonlyMap<string, AuditDefinition>): AuditDefinition[] {
  const own = new Map(model.inline_audits.map((audit) => [audit.name, audit]))
  return model.audits.flatMap(({ name }) => {
    const definition = own.get(name) ?? projectAudits.get(name)
    return definition === undefined ? [] : [definition]
  })
}
