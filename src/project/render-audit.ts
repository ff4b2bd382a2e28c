/** An audit that a model calls → the SQL that returns its bad rows: macros expanded, names of models replaced. */
import { auditQuery, auditReadsTables } from '../sql/audits.ts'
import type { ModelDefinition } from './definition.ts'
import type { AuditCall, AuditDefinition } from './model.ts'
import { auditMacros } from './macro-environment.ts'
import { macroEnvironment, replaceNames, type RenderOptions } from './render-model.ts'

export interface CalledAudit {
  call: AuditCall
  /** The project's or the model's own; null for a built-in one. */
  audit: AuditDefinition | null
}

/** @throws MillraceError with the place of the call, or of the audit's own query */
export async function renderAudit(
  { call, audit }: CalledAudit,
  definition: ModelDefinition,
  options: RenderOptions,
): Promise<string> {
  const { file } = definition.model
  const environment = auditMacros(macroEnvironment(definition, options), options.interval)
  const text = await auditQuery(call, audit, environment, { file, line: call.line })
  if (!auditReadsTables(call, audit)) return text
  const [parsed] = await options.parser.parse([text])
  // What cannot be parsed is left to DuckDB, which says why.
  if (parsed === undefined || 'problem' in parsed) return text
  return replaceNames(
    { text, references: parsed.references, catalogs: definition.catalogs ?? null },
    definition,
    options,
  )
}
