/** A definition → the SQL that runs: macros expanded, names of models replaced, embedded models inlined. */
import { isAbsolute, resolve } from 'node:path'
import { MillraceError } from '../errors.ts'
import { quoteRelation } from '../sql/identifiers.ts'
import { expandMacros, expandStatement, type MacroEnvironment } from '../sql/macros.ts'
import type { QueryReferences } from '../sql/references.ts'
import { rewriteTables } from '../sql/rewrite.ts'
import type { DefinitionCatalogs, ModelDefinition } from './definition.ts'
import { kindLocals, macroDefinitions } from './macro-environment.ts'
import { createMacroHost } from './macro-host.ts'
import { hasInterval, type RelationName, type SqlText } from './model.ts'
import { isSystemName, normalizedName } from './names.ts'
import type { SqlParser } from './sql-parser.ts'

export interface RenderOptions {
  /** Epoch ms, half-open; kinds without intervals ignore it. */
  interval: readonly [number, number] | null
  executionMs: number
  runtimeStage: MacroEnvironment['runtimeStage']
  /** SQL for `@this_model`. */
  thisModel: string | null
  /** Folder that relative paths in SQL are relative to. */
  root: string
  parser: SqlParser
}

/** @throws MillraceError with the model's file and line when a macro or the SQL is wrong. */
export async function renderQuery(definition: ModelDefinition, options: RenderOptions): Promise<string> {
  return renderWithin(definition, options, definition.catalogs ?? null)
}

/** @param catalogs of the model whose query it becomes a part of: that one's session runs it. */
async function renderWithin(
  definition: ModelDefinition,
  options: RenderOptions,
  catalogs: DefinitionCatalogs | null,
): Promise<string> {
  const { model } = definition
  if (model.query === null) throw new TypeError(`model '${model.name}' has no query`)
  const place = { file: model.file, line: model.query.line }
  const environment = { ...macroEnvironment(definition, options), definitions: macroDefinitions(model) }
  const text = await expandMacros(model.query.text, environment, place)
  const [parsed] = await options.parser.parse([text])
  if (parsed === undefined || 'problem' in parsed) {
    const problem = parsed?.problem ?? { message: 'cannot be parsed', line: null }
    throw new MillraceError('SQL_SYNTAX', `model '${model.name}': ${problem.message}`, {
      file: model.file,
      line: place.line + (problem.line ?? 1) - 1,
    })
  }
  return replaceNames({ text, references: parsed.references, catalogs }, definition, options)
}

export interface ParsedText {
  text: string
  references: QueryReferences
  /** Of the session that runs it. */
  catalogs: DefinitionCatalogs | null
}

/** The text with what stands for the names of models in it, and absolute paths. */
export async function replaceNames(
  { text, references, catalogs }: ParsedText,
  definition: ModelDefinition,
  options: RenderOptions,
): Promise<string> {
  const embedded = await renderEmbedded(definition, options, catalogs)
  return rewriteTables(text, references, {
    table(relation) {
      const name = normalizedName(relation, definition.defaultCatalog)
      const input = definition.inputs[name]
      if (input?.type === 'table') return quoteRelation(seenFrom(catalogs, input.relation))
      return embedded.get(name) ?? external(relation, name, catalogs)
    },
    path: (path) => absolutePath(path, options.root),
  })
}

/**
 * Statements before or after the query: macros expanded, nothing else touched. `@DEF` and what gives nothing are left
 * out; a macro that gives a list is several.
 */
export async function renderStatements(
  statements: readonly SqlText[],
  definition: ModelDefinition,
  options: RenderOptions,
): Promise<string[]> {
  const { model } = definition
  const environment = { ...macroEnvironment(definition, options), definitions: macroDefinitions(model) }
  const rendered = statements.map(({ text, line }) => expandStatement(text, environment, { file: model.file, line }))
  return (await Promise.all(rendered)).flat()
}

/** SQL of a header, e.g. `merge_filter`: macros expanded. */
export async function renderExpression(
  { text, line }: SqlText,
  definition: ModelDefinition,
  options: RenderOptions,
): Promise<string> {
  return expandMacros(text, macroEnvironment(definition, options), { file: definition.model.file, line })
}

/** Without what the model defines by `@DEF`: its audits do not know that. */
export function macroEnvironment(definition: ModelDefinition, options: RenderOptions): MacroEnvironment {
  const { model, defaultCatalog } = definition
  const columns = model.read_columns ?? {}
  const interval = hasInterval(model.kind) || model.kind.name === 'AUDIT' ? options.interval : null
  return {
    start: interval?.[0] ?? null,
    end: interval?.[1] ?? null,
    execution: options.executionMs,
    variables: definition.variables,
    runtimeStage: options.runtimeStage,
    thisModel: options.thisModel,
    gateway: definition.gateway,
    defaultCatalog,
    modelKind: model.kind.name,
    locals: kindLocals(model),
    host: createMacroHost(options.parser, (relation) =>
      Promise.resolve(columns[normalizedName(relation, defaultCatalog)] ?? null),
    ),
  }
}

/** Without the catalog where it is the session's own: the file may be attached under any name. */
function seenFrom(catalogs: DefinitionCatalogs | null, relation: RelationName): RelationName {
  return relation.catalog === catalogs?.own ? { ...relation, catalog: null } : relation
}

/** Names without a catalog mean the main database, also in the session of another; null to leave what means the same there. */
function external(relation: RelationName, name: string, catalogs: DefinitionCatalogs | null): string | null {
  if (catalogs === null || catalogs.own === catalogs.main) return null
  // A physical table is named in an audit, by `@this_model`: of the session's own database.
  const isPhysical = relation.schema?.startsWith('millrace__') === true
  if (relation.catalog !== null || isPhysical || isSystemName(name)) return null
  return quoteRelation({ catalog: catalogs.main, schema: relation.schema ?? 'main', name: relation.name })
}

async function renderEmbedded(
  definition: ModelDefinition,
  options: RenderOptions,
  catalogs: DefinitionCatalogs | null,
): Promise<Map<string, string>> {
  const rendered = new Map<string, string>()
  for (const [name, input] of Object.entries(definition.inputs)) {
    if (input.type === 'embedded')
      rendered.set(name, `(\n${await renderWithin(input.definition, options, catalogs)}\n)`)
  }
  return rendered
}

/** Null for what is no relative path: absolute ones and addresses such as `s3://…`. */
function absolutePath(path: string, root: string): string | null {
  return isAbsolute(path) || /^[a-z][a-z0-9+.-]*:/i.test(path) || path.startsWith('~') ? null : resolve(root, path)
}
