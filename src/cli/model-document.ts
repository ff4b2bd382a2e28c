/** A model as `models --json` prints it. */
import type { AuditDefinition, Model, ModelKind, SqlText } from '../project/model.ts'
import { calledAudits } from '../project/definition.ts'
import { auditIsBlocking } from '../sql/audits.ts'

/** An audit as a model calls it; `blocking` is what counts in the end, whoever says it. */
export interface AuditDocument {
  name: string
  args: Record<string, string>
  blocking: boolean
}

/** An `AUDIT (…)` block in the model's own file. */
export interface InlineAuditDocument extends Omit<AuditDefinition, 'query'> {
  query: string
}

type SqlKeys = 'query' | 'pre' | 'post' | 'on_virtual_update'

/** The header's properties in its own spelling; SQL as written, macros not expanded. */
export interface ModelDocument extends Omit<Model, 'relation' | 'audits' | 'inline_audits' | SqlKeys> {
  audits: AuditDocument[]
  inline_audits: InlineAuditDocument[]
  /** Null for a model without one (SEED). */
  query: string | null
  pre: string[]
  post: string[]
  on_virtual_update: string[]
}

/** @param projectAudits by lower-case name. */
export function toModelDocument(model: Model, projectAudits: ReadonlyMap<string, AuditDefinition>): ModelDocument {
  const { relation: _, ...header } = model
  return {
    ...header,
    kind: kindDocument(model.kind),
    audits: auditDocuments(model, projectAudits),
    query: model.query?.text ?? null,
    pre: texts(model.pre),
    post: texts(model.post),
    on_virtual_update: texts(model.on_virtual_update),
    inline_audits: model.inline_audits.map((audit) => ({ ...audit, query: audit.query.text })),
  }
}

/** The name first, for whoever reads it. */
function kindDocument({ name, ...options }: ModelKind): ModelKind {
  return { name, ...options }
}

function auditDocuments(model: Model, projectAudits: ReadonlyMap<string, AuditDefinition>): AuditDocument[] {
  const definitions = new Map(calledAudits(model, projectAudits).map((audit) => [audit.name, audit]))
  return model.audits.map((call) => ({
    name: call.name,
    args: call.args,
    blocking: auditIsBlocking(call, definitions.get(call.name) ?? null),
  }))
}

function texts(statements: readonly SqlText[]): string[] {
  return statements.map(({ text }) => text)
}
