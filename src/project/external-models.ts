/** external_models.yaml and external_models/: the tables that models read and nobody here builds. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { MillraceError, nearest, ProjectError, type SourceLocation } from '../errors.ts'
import { LexerError, tokenize } from '../sql/lexer.ts'
import { toProblems } from './config-schema.ts'
import { listFiles, readText } from './read-file.ts'
import { parseYaml, type DataPath, type YamlFile } from './yaml-file.ts'

export interface ExternalModel {
  /** Lower case, parts joined by `.`. */
  name: string
  /** Lower-case column name → type as written; null when not given. */
  columns: Record<string, string> | null
  description: string | null
  /** Lower case; null: of every gateway. An entry for a gateway wins over one for all. */
  gateway: string | null
  file: string
  line: number
}

/** Properties of a model that say nothing about a table that is only read. */
const PASSED_OVER: ReadonlySet<string> = new Set(
  ['audits', 'column_descriptions', 'cron', 'cron_tz', 'default_catalog', 'enabled', 'end', 'grain', 'grains'].concat(
    [
      'ignored_rules',
      'interval_unit',
      'kind',
      'owner',
      'physical_properties',
      'project',
      'references',
      'stamp',
      'start',
    ],
    ['tags', 'virtual_properties'],
  ),
)
const KNOWN = ['name', 'columns', 'description', 'gateway', 'dialect', ...PASSED_OVER]

const entrySchema = z.object({
  name: z.string().min(1),
  columns: z.record(z.string(), z.string()).nullish(),
  description: z.string().nullish(),
  gateway: z.string().nullish(),
  dialect: z.string().nullish(),
})

/**
 * Every entry of every file, in the files' order.
 * @throws MillraceError or ProjectError naming every wrong entry with file and line: MODEL, DUPLICATE_MODEL, DIALECT, FILE
 */
export async function loadExternalModels(root: string): Promise<ExternalModel[]> {
  const problems: MillraceError[] = []
  const models: ExternalModel[] = []
  const onProblem = (problem: MillraceError): void => void problems.push(problem)
  const first = ['external_models.yaml', 'schema.yaml'].filter((file) => existsSync(join(root, file))).slice(0, 1)
  const others = existsSync(join(root, 'external_models'))
    ? await listFiles(root, 'external_models', '.yaml', [], onProblem)
    : []
  for (const file of [...first, ...others]) {
    try {
      models.push(...parseFile(parseYaml(await readText(root, file), file, { code: 'MODEL' }), problems))
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      problems.push(...(error instanceof ProjectError ? error.problems : [error]))
    }
  }
  problems.push(...duplicates(models))
  if (problems.length > 0) throw new ProjectError(problems)
  return models
}

function parseFile(yaml: YamlFile, problems: MillraceError[]): ExternalModel[] {
  const { file, value } = yaml
  if (value === null) return []
  if (!Array.isArray(value)) {
    problems.push(
      wrong(yaml, [], `expected '${file}' to be a list of external models`, "write '- name: schema.table' for each"),
    )
    return []
  }
  return value.flatMap((entry: unknown, index) => {
    const found = parseEntry(yaml, entry, index)
    if (!Array.isArray(found)) return [found]
    problems.push(...found)
    return []
  })
}

function parseEntry(yaml: YamlFile, entry: unknown, index: number): ExternalModel | MillraceError[] {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    return [wrong(yaml, [index], 'expected an external model with a name', "write '- name: schema.table'")]
  }
  const problems = Object.keys(entry)
    .filter((key) => !KNOWN.includes(key))
    .map((key) => unknownKey(yaml, [index, key], key))
  const parsed = entrySchema.safeParse(entry)
  if (!parsed.success) {
    const locate = (path: DataPath): SourceLocation => ({ file: yaml.file, line: yaml.locate([index, ...path]).line })
    const { issues } = parsed.error
    return [...problems, ...toProblems(issues, { schema: entrySchema, value: entry, locate, code: 'MODEL' })]
  }
  const { name: written, columns, description, gateway, dialect } = parsed.data
  const name = normalizeName(written)
  if (name === null) {
    problems.push(
      wrong(
        yaml,
        [index, 'name'],
        `expected a name like schema.table, got '${written}'`,
        'quote parts that are no plain word',
      ),
    )
  }
  if (dialect && dialect.toLowerCase() !== 'duckdb') {
    problems.push(
      new MillraceError('DIALECT', `expected the dialect duckdb, got '${dialect}'`, {
        file: yaml.file,
        line: yaml.locate([index, 'dialect']).line,
      }),
    )
  }
  if (name === null || problems.length > 0) return problems
  const lowered = Object.entries(columns ?? {}).map(([column, type]) => [column.toLowerCase(), type])
  return {
    name,
    columns: columns ? (Object.fromEntries(lowered) as Record<string, string>) : null,
    description: description ?? null,
    gateway: gateway?.toLowerCase() ?? null,
    file: yaml.file,
    line: yaml.locate([index]).line,
  }
}

/** One to three parts, plain or quoted; null for anything else. */
export function normalizeName(written: string): string | null {
  try {
    const tokens = tokenize(written)
    const parts = tokens.filter((_, index) => index % 2 === 0)
    const dots = tokens.filter((_, index) => index % 2 === 1)
    const isName =
      parts.every(({ type }) => type === 'word' || type === 'quoted') && dots.every(({ text }) => text === '.')
    if (!isName || parts.length === dots.length || parts.length > 3) return null
    return parts.map(({ value }) => value.toLowerCase()).join('.')
  } catch (error) {
    if (error instanceof LexerError) return null
    throw error
  }
}

function duplicates(models: readonly ExternalModel[]): MillraceError[] {
  const seen = new Map<string, ExternalModel>()
  return models.flatMap((model) => {
    const key = JSON.stringify([model.gateway, model.name])
    const first = seen.get(key)
    if (first === undefined) {
      seen.set(key, model)
      return []
    }
    const message = `expected one external model of each name; '${model.name}' is in ${first.file}:${first.line} and in ${model.file}:${model.line}`
    return [
      new MillraceError('DUPLICATE_MODEL', message, { file: model.file, line: model.line, hint: 'remove one of them' }),
    ]
  })
}

function unknownKey(yaml: YamlFile, path: DataPath, key: string): MillraceError {
  const suggestion = nearest(key, KNOWN)
  return wrong(
    yaml,
    path,
    `expected a known property of an external model, got '${key}'`,
    `${suggestion === null ? '' : `Did you mean '${suggestion}'? `}Known: ${KNOWN.join(', ')}`,
  )
}

function wrong(yaml: YamlFile, path: DataPath, message: string, hint?: string): MillraceError {
  return new MillraceError('MODEL', message, {
    file: yaml.file,
    line: yaml.locate(path).line,
    ...(hint === undefined ? {} : { hint }),
  })
}
