/** The audits of a project: those of `audits/`, what models call, and what their queries read. */
import { MillraceError } from '../errors.ts'
import { assertAuditSupported, auditQuery, auditReadsTables, BUILT_IN_AUDITS } from '../sql/audits.ts'
import { distinctRelations } from '../sql/references.ts'
import type { ProjectConfig } from './config.ts'
import { auditMacros, loadingEnvironment } from './macro-environment.ts'
import type { AuditCall, AuditDefinition, Model } from './model.ts'
import { relationKey, normalizedName } from './names.ts'
import { parseAuditFile } from './parse-audit.ts'
import { assertAuditsKnown } from './parse-model.ts'
import type { Project } from './project.ts'
import { listFiles, readText } from './read-file.ts'
import { createMacroHost } from './macro-host.ts'
import type { SqlParser } from './sql-parser.ts'

/** Where problems of a project are gathered. */
export interface ProblemSink {
  /** Runs `work`; its problems are kept, anything else is thrown on. */
  collect<T>(work: () => T | Promise<T>): Promise<T | null>
  add(error: MillraceError): void
}

/** Every audit of `audits/` by name, standalone ones too. */
export async function loadAudits(
  root: string,
  { config, defaultCatalog }: { config: ProjectConfig; defaultCatalog: string },
  problems: ProblemSink,
): Promise<Map<string, AuditDefinition>> {
  const audits = new Map<string, AuditDefinition>()
  const list = (): Promise<string[]> =>
    listFiles(root, 'audits', '.sql', config.ignorePatterns, (problem) => problems.add(problem))
  for (const file of (await problems.collect(list)) ?? []) {
    const found = await problems.collect(async () => parseAuditFile(await readText(root, file), file, defaultCatalog))
    for (const audit of found ?? []) {
      const other = audits.get(audit.name)
      if (other === undefined) audits.set(audit.name, audit)
      else {
        const message = `audit '${audit.name}' is defined twice; first in ${other.file}:${other.line}`
        problems.add(new MillraceError('AUDIT', message, { file: audit.file, line: audit.line }))
      }
    }
  }
  return audits
}

/** @throws MillraceError AUDIT for a call of what is no audit, of a standalone one, or with other arguments than it has. */
export function assertAudits(model: Model, audits: ReadonlyMap<string, AuditDefinition>): void {
  assertAuditsKnown(model, new Set([...BUILT_IN_AUDITS, ...audits.keys()]))
  for (const { name, file, line } of model.inline_audits.filter(({ standalone }) => standalone)) {
    throw new MillraceError('AUDIT', `audit '${name}' is standalone; it belongs to no model`, {
      file,
      line,
      hint: 'move it into a file of audits/',
    })
  }
  for (const call of model.audits) {
    const definition = findDefinition(model, call, audits)
    const place = { file: model.file, line: call.line }
    if (definition?.standalone === true) {
      const message = `model '${model.name}' calls '${call.name}', which is a standalone audit and runs by itself`
      throw new MillraceError('AUDIT', message, { ...place, hint: 'take it out of the header' })
    }
    assertAuditSupported(call, definition, place)
  }
}

/** Renders every audit as of the epoch and adds what it reads, beside the audited model, to `audit_depends_on`. */
export async function addAuditReferences(project: Project, parser: SqlParser, problems: ProblemSink): Promise<void> {
  const rendered: { model: Model; text: string; at: { file: string; line: number } }[] = []
  for (const model of project.models) {
    for (const call of model.audits) {
      const definition = findDefinition(model, call, project.audits)
      if (definition?.skip === true) continue
      const text = await problems.collect(() => renderAtLoad(project, model, { call, definition }, parser))
      const at = definition === null ? { file: model.file, line: call.line } : definitionPlace(definition)
      if (text !== null && auditReadsTables(call, definition)) rendered.push({ model, text, at })
    }
  }
  const parsed = await parser.parse(rendered.map(({ text }) => text))
  for (const [index, { model, at }] of rendered.entries()) {
    const result = parsed[index]
    if (result === undefined) continue
    if ('problem' in result) {
      const line = at.line + (result.problem.line ?? 1) - 1
      const message = `an audit of model '${model.name}': ${result.problem.message}`
      problems.add(new MillraceError('SQL_SYNTAX', message, { file: at.file, line }))
      continue
    }
    const names = distinctRelations(result.references)
      .filter(({ relation }) => relation.name !== THIS_MODEL)
      .map((table) => relationKey(table, project.defaultCatalog))
    model.audit_depends_on = [...new Set([...model.audit_depends_on, ...names])].sort()
  }
}

/** A standalone audit as a model without a table: it has its place behind what it reads, and a step of its own. */
export function toAuditModel({ name, query, defaults, node, file, line }: AuditDefinition): Model {
  return {
    name,
    relation: { catalog: null, schema: null, name },
    kind: { name: 'AUDIT', ...(Object.keys(defaults).length === 0 ? {} : { defaults }) },
    cron: '@daily',
    cron_tz: null,
    interval_unit: 'day',
    allow_partials: false,
    start: null,
    end: null,
    stamp: null,
    owner: node?.owner ?? null,
    tags: node?.tags ?? [],
    description: node?.description ?? null,
    depends_on: node?.depends_on ?? [],
    audit_depends_on: [],
    columns: null,
    column_descriptions: {},
    grains: [],
    references: [],
    audits: [],
    signals: [],
    partitioned_by: [],
    clustered_by: [],
    self_referencing: false,
    enabled: true,
    formatting: true,
    optimize_query: true,
    ignored_rules: [],
    gateway: null,
    storage_format: null,
    table_format: null,
    physical_properties: {},
    virtual_properties: {},
    session_properties: {},
    physical_version: null,
    virtual_environment_mode: null,
    dialect: 'duckdb',
    query,
    pre: [],
    post: [],
    on_virtual_update: [],
    inline_audits: [],
    file,
    line,
  }
}

const THIS_MODEL = 'millrace this model'

interface CalledAudit {
  call: AuditCall
  definition: AuditDefinition | null
}

/** Null for what cannot be expanded yet: what it reads is not known. */
async function renderAtLoad(
  project: Project,
  model: Model,
  { call, definition }: CalledAudit,
  parser: SqlParser,
): Promise<string | null> {
  const columns = model.read_columns ?? {}
  const host = createMacroHost(parser, (relation) =>
    Promise.resolve(columns[normalizedName(relation, project.defaultCatalog)] ?? null),
  )
  const environment = { ...auditMacros(loadingEnvironment(project, model, host)), thisModel: `"${THIS_MODEL}"` }
  try {
    return await auditQuery(call, definition, environment, { file: model.file, line: call.line })
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'NOT_YET') return null
    throw error
  }
}

function findDefinition(
  model: Model,
  call: AuditCall,
  audits: ReadonlyMap<string, AuditDefinition>,
): AuditDefinition | null {
  return model.inline_audits.find(({ name }) => name === call.name) ?? audits.get(call.name) ?? null
}

function definitionPlace({ file, query }: AuditDefinition): { file: string; line: number } {
  return { file, line: query.line }
}
