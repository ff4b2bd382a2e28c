/**
 * Folder → Project. All problems of a project are found before one is reported.
 */
import { createModelGraph } from '../graph/model-graph.ts'
import { MillraceError, ProjectError } from '../errors.ts'
import { expandMacros, expandStatement, type VariableValue } from '../sql/macros.ts'
import { tokenize } from '../sql/lexer.ts'
import { distinctRelations } from '../sql/references.ts'
import { loadConfig, type ProjectConfig } from './config.ts'
import { loadExternalModels } from './external-models.ts'
import { chooseGateway } from './gateways.ts'
import { parseModelDefaults, type ModelDefaults } from './header/model-defaults.ts'
import { createColumnSource, type Columns, type ColumnSource } from './infer-columns.ts'
import { loadingEnvironment } from './macro-environment.ts'
import { addAuditReferences, assertAudits, loadAudits, toAuditModel } from './load-audits.ts'
import type { Model } from './model.ts'
import { relationKey } from './names.ts'
import { parseModelFile, type ParseContext } from './parse-model.ts'
import { defaultCatalogOf } from './default-catalog.ts'
import type { Project } from './project.ts'
import { assertNoPython } from './python.ts'
import { listFiles, readText } from './read-file.ts'
import { resolveSeedPath } from './seeds.ts'
import type { SqlParser } from './sql-parser.ts'

export interface LoadOptions {
  /** Default: the config's default gateway. */
  gateway?: string
  /** `--var` values; they win over the config's. */
  vars?: Record<string, string>
  env: NodeJS.ProcessEnv
  parser: SqlParser
}

/** @throws ProjectError (or MillraceError when there is one problem) naming every problem with file and line. */
export async function loadProject(root: string, options: LoadOptions): Promise<Project> {
  const config = await loadConfig(root, options.env)
  const gateway = chooseGateway(config, options.gateway ?? null)
  const defaults = parseModelDefaults({ ...config.modelDefaults, ...config.gateways[gateway]?.modelDefaults })
  const defaultCatalog = defaultCatalogOf(config.gateways[gateway]?.connection ?? {})
  const variables = mergeVariables(config, gateway, options.vars)

  const problems = new Problems()
  await problems.collect(() => assertNoPython(root, config.ignorePatterns))
  const audits = await loadAudits(root, { config, defaultCatalog }, problems)
  const standalone = [...audits.values()].filter((audit) => audit.standalone && !audit.skip)
  const written = await loadModels(root, { config, defaults, defaultCatalog, variables }, problems)
  const models = byName([...written, ...standalone.map(toAuditModel)])
  const externals = (await problems.collect(() => loadExternalModels(root))) ?? []
  const enabled = models.filter((model) => model.enabled)
  const project: Project = {
    name: config.project,
    root,
    config,
    gateway,
    defaultCatalog,
    models,
    externals,
    audits,
    variables,
    notices: [...config.notices],
  }

  assertUniqueNames(models, problems)
  for (const model of models) {
    await problems.collect(() => assertAudits(model, audits))
    await problems.collect(() => assertStatements(model))
    const path = model.kind.path
    if (path !== undefined) await problems.collect(() => resolveSeedPath(path, model, root))
  }
  await addReferences(project, options.parser, problems)
  if (problems.none) await addAuditReferences(project, options.parser, problems)
  if (problems.none) await problems.collect(() => createModelGraph(enabled))
  problems.throwIfAny()
  return project
}

class Problems {
  readonly #found: MillraceError[] = []

  get none(): boolean {
    return this.#found.length === 0
  }

  /** Runs `work`; its problems are kept, anything else is thrown on. */
  async collect<T>(work: () => T | Promise<T>): Promise<T | null> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      this.add(error)
      return null
    }
  }

  add(error: MillraceError): void {
    this.#found.push(...(error instanceof ProjectError ? error.problems : [error]))
  }

  throwIfAny(): void {
    if (this.#found.length > 0) throw new ProjectError(this.#found)
  }
}

function mergeVariables(
  config: ProjectConfig,
  gateway: string,
  vars: Record<string, string> | undefined,
): Record<string, VariableValue> {
  const given = Object.entries(vars ?? {}).map(([name, value]) => [name.toLowerCase(), scalar(value)] as const)
  return { ...config.variables, ...config.gateways[gateway]?.variables, ...Object.fromEntries(given), gateway }
}

/** `--var n=3` means the number, as it would in YAML. */
function scalar(text: string): VariableValue {
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text)
  if (/^(true|false)$/i.test(text)) return text.toLowerCase() === 'true'
  return text
}

interface ModelContext {
  config: ProjectConfig
  defaults: ModelDefaults
  defaultCatalog: string
  variables: Record<string, VariableValue>
}

async function loadModels(root: string, context: ModelContext, problems: Problems): Promise<Model[]> {
  const { config, defaults, defaultCatalog, variables } = context
  const models: Model[] = []
  const files = await listInto(problems, root, 'models', config)
  const texts = await Promise.all(files.map((file) => problems.collect(() => readText(root, file))))
  for (const [index, file] of files.entries()) {
    const text = texts[index] ?? null
    if (text === null) continue
    const parseContext: ParseContext = {
      file,
      defaults,
      defaultCatalog,
      inferNames: config.inferNames,
      timeColumnFormat: config.timeColumnFormat,
      variables,
    }
    const model = await problems.collect(() => parseModelFile(text, parseContext))
    if (model !== null) models.push(model)
  }
  return models
}

function byName(models: readonly Model[]): Model[] {
  return [...models].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

async function listInto(problems: Problems, root: string, folder: string, config: ProjectConfig): Promise<string[]> {
  return (
    (await problems.collect(() => listFiles(root, folder, '.sql', config.ignorePatterns, (p) => problems.add(p)))) ?? []
  )
}

function assertUniqueNames(models: readonly Model[], problems: Problems): void {
  const byName = new Map<string, Model>()
  for (const model of models) {
    const first = byName.get(model.name)
    if (first === undefined) byName.set(model.name, model)
    else
      problems.add(
        new MillraceError(
          'DUPLICATE_MODEL',
          `expected one model of each name; '${model.name}' is defined in ${first.file}:${first.line} and in ${model.file}:${model.line}`,
          { file: model.file, line: model.line, hint: 'rename one of them' },
        ),
      )
  }
}

const TRANSACTION_WORDS = new Set(['BEGIN', 'START', 'COMMIT', 'END', 'ROLLBACK', 'ABORT'])

/** A step is one transaction: a statement of the model's own must not end it. */
function assertStatements(model: Model): void {
  for (const { text, line } of [...model.pre, ...model.post]) {
    const first = tokenize(text).find((token) => token.type !== 'comment')
    if (first === undefined || !TRANSACTION_WORDS.has(first.text.toUpperCase())) continue
    throw new MillraceError(
      'MODEL',
      `model '${model.name}': expected a statement that runs inside the step's transaction; got ${first.text}`,
      {
        file: model.file,
        line: line + first.line - 1,
        hint: 'remove it: Millrace begins and commits each step',
      },
    )
  }
}

/** Renders every query as of the epoch, parses it, and adds what it reads to `depends_on`. */
async function addReferences(project: Project, parser: SqlParser, problems: Problems): Promise<void> {
  const rendered: { model: Model; text: string }[] = []
  const columns = createColumnSource(project, parser)
  for (const model of project.models) {
    const text = await problems.collect(() => renderAtLoad(project, model, columns))
    if (text !== null) rendered.push({ model, text })
  }
  const parsed = await parser.parse(rendered.map(({ text }) => text))
  for (const [index, { model }] of rendered.entries()) {
    const result = parsed[index]
    if (result === undefined) continue
    if ('problem' in result) problems.add(syntaxError(model, result.problem))
    else {
      const names = distinctRelations(result.references).map((table) => relationKey(table, project.defaultCatalog))
      model.self_referencing = names.includes(model.name)
      model.depends_on = [...new Set([...model.depends_on, ...names])].filter((name) => name !== model.name).sort()
    }
  }
}

/** The query's text; null where there is none. What its macros ask for of other models' columns is kept in the model. */
async function renderAtLoad(project: Project, model: Model, source: ColumnSource): Promise<string | null> {
  const { query, pre, post, file } = model
  if (query === null) return null
  const asked: Record<string, Columns> = {}
  const host = source.hostFor(model, (name, columns) => (asked[name] = columns))
  const environment = loadingEnvironment(project, model, host)
  const text = await expandMacros(query.text, environment, { file, line: query.line })
  const texts = [query, ...pre, ...post]
  if (texts.some((one) => /@(star|union)\b/i.test(one.text))) {
    // A step has the definition alone: what it will ask for has to be in it.
    for (const one of texts) {
      await expandStatement(one.text, { ...environment, runtimeStage: 'evaluating' }, { file, line: one.line })
    }
  }
  if (Object.keys(asked).length > 0) model.read_columns = asked
  return text
}

function syntaxError(
  model: Model,
  problem: { message: string; line: number | null; column: number | null },
): MillraceError {
  const first = model.query?.line ?? model.line
  return new MillraceError('SQL_SYNTAX', `model '${model.name}': ${problem.message}`, {
    file: model.file,
    line: first + (problem.line ?? 1) - 1,
    ...(problem.column === null ? {} : { column: problem.column }),
  })
}
