/**
 * Columns of what models read: declared ones, those of external_models.yaml and of a seed's file, else those that DuckDB
 * finds for a model's query over empty tables. Only asked for by macros and checks that need them.
 */
import { createHash } from 'node:crypto'
import { isAbsolute, resolve } from 'node:path'
import { MillraceError } from '../errors.ts'
import { quoteIdentifier } from '../sql/identifiers.ts'
import { isToken, tokenize } from '../sql/lexer.ts'
import { expandMacros, type MacroHost } from '../sql/macros.ts'
import { rewriteTables } from '../sql/rewrite.ts'
import { seedColumnsQuery } from '../sql/seed.ts'
import { loadingEnvironment } from './macro-environment.ts'
import { createMacroHost } from './macro-host.ts'
import type { Model, RelationName } from './model.ts'
import { isSystemName, normalizedName, relationKey } from './names.ts'
import type { Project } from './project.ts'
import { resolveSeedPath } from './seeds.ts'
import { createSqlParser, type SqlParser } from './sql-parser.ts'

/** Lower-case name → DuckDB type, in order. */
export type Columns = Record<string, string>

type ColumnProject = Pick<Project, 'root' | 'models' | 'externals' | 'gateway' | 'defaultCatalog' | 'variables'>

/**
 * The columns of a model or an external by its name as in `depends_on`.
 * @param parser default: one that is opened for this call alone
 * @returns null where they cannot be known: an external without columns is among what it reads, or a PIVOT of data
 * @throws MillraceError for macros, a seed's file and a circle of models
 */
export async function inferColumns(project: ColumnProject, name: string, parser?: SqlParser): Promise<Columns | null> {
  if (parser !== undefined) return createColumnSource(project, parser).columnsOf(name)
  const own = createSqlParser()
  try {
    return await createColumnSource(project, own).columnsOf(name)
  } finally {
    await own.close()
  }
}

export interface ColumnSource {
  columnsOf(name: string): Promise<Columns | null>
  /** For the macros of `model`; `asked` is told what they ask for and get. */
  hostFor(model: Model, asked?: (name: string, columns: Columns) => void): MacroHost
}

/** Each model's columns are found once. */
export function createColumnSource(project: ColumnProject, parser: SqlParser): ColumnSource {
  const models = new Map(project.models.map((model) => [model.name, model]))
  const known = new Map<string, Columns | null>()

  async function find(name: string, path: readonly string[]): Promise<Columns | null> {
    const found = known.get(name)
    if (found !== undefined) return found
    const model = models.get(name)
    if (path.includes(name)) throw circle(model, [...path.slice(path.indexOf(name)), name])
    const columns = model === undefined ? externalColumns(project, name) : await ofModel(model, [...path, name])
    known.set(name, columns)
    return columns
  }

  async function ofModel(model: Model, path: readonly string[]): Promise<Columns | null> {
    if (model.columns !== null) return lowerCased(model.columns)
    if (model.kind.name === 'SEED') return seedColumns(model, project.root, parser)
    if (model.query === null) return externalColumns(project, model.name)
    const columns = await queryColumns(model, path)
    return columns === null ? null : { ...columns, ...historyColumns(model) }
  }

  async function queryColumns(model: Model, path: readonly string[]): Promise<Columns | null> {
    const { query } = model
    if (query === null) return null
    const environment = loadingEnvironment(project, model, hostOf(path))
    const text = await expandMacros(query.text, environment, { file: model.file, line: query.line })
    // The columns of a PIVOT come from the data.
    if (tokenize(text).some((token) => isToken(token, 'PIVOT') || isToken(token, 'PIVOT_WIDER'))) return null
    const [parsed] = await parser.parse([text])
    if (parsed === undefined || 'problem' in parsed) return null
    const tables = new Map<string, string>()
    for (const table of parsed.references.tables) {
      const name = relationKey(table, project.defaultCatalog)
      if (table.isFile || isSystemName(name)) continue
      const columns = name === model.name ? null : await find(name, path)
      const empty = columns === null ? null : await emptyTable(columns)
      if (empty === null) return null
      tables.set(normalizedName(table.relation, project.defaultCatalog), empty)
    }
    const rewritten = rewriteTables(text, parsed.references, {
      table: (relation) => tables.get(normalizedName(relation, project.defaultCatalog)) ?? null,
      path: (file) => (isAbsolute(file) || /^[a-z][a-z0-9+.-]*:/i.test(file) ? null : resolve(project.root, file)),
    })
    return columnRows(parser, `DESCRIBE ${rewritten}`)
  }

  /** Tables of the same columns are one; null where DuckDB does not know a type. */
  async function emptyTable(columns: Columns): Promise<string | null> {
    const list = Object.entries(columns).map(([name, type]) => `${quoteIdentifier(name)} ${type}`)
    const name = quoteIdentifier(`columns_${createHash('sha256').update(list.join(', ')).digest('hex').slice(0, 20)}`)
    try {
      await parser.rows(`CREATE TABLE IF NOT EXISTS ${name} (${list.join(', ')})`)
      return name
    } catch {
      return null
    }
  }

  function hostOf(path: readonly string[], asked?: (name: string, columns: Columns) => void): MacroHost {
    return createMacroHost(parser, async (relation: RelationName) => {
      const name = normalizedName(relation, project.defaultCatalog)
      const columns = await find(name, path)
      if (columns !== null) asked?.(name, columns)
      return columns
    })
  }

  return {
    columnsOf: (name) => find(name, []),
    hostFor: (model, asked) => hostOf([model.name], asked),
  }
}

/** An entry for the gateway wins over one for all. */
function externalColumns({ externals, gateway }: ColumnProject, name: string): Columns | null {
  const entries = externals.filter((one) => one.name === name)
  const own =
    entries.find((one) => one.gateway === gateway.toLowerCase()) ?? entries.find((one) => one.gateway === null)
  return own?.columns ?? null
}

async function seedColumns(model: Model, root: string, parser: SqlParser): Promise<Columns | null> {
  const path = await resolveSeedPath(model.kind.path ?? '', model, root)
  const query = seedColumnsQuery(path, model.kind.csv_settings)
  return columnRows(parser, query)
}

/** Null where DuckDB cannot say: a function of an extension, a file that is not there. */
async function columnRows(parser: SqlParser, sql: string): Promise<Columns | null> {
  try {
    const rows = await parser.rows(sql)
    return Object.fromEntries(rows.map(([name, type]) => [String(name).toLowerCase(), String(type)]))
  } catch {
    return null
  }
}

/** The two columns that kinds with a history add to their query's. */
function historyColumns({ kind }: Model): Columns {
  if (!kind.name.startsWith('SCD_')) return {}
  const type = kind.time_data_type ?? 'TIMESTAMP'
  return { [kind.valid_from_name ?? 'valid_from']: type, [kind.valid_to_name ?? 'valid_to']: type }
}

function lowerCased(columns: Columns): Columns {
  return Object.fromEntries(Object.entries(columns).map(([name, type]) => [name.toLowerCase(), type]))
}

function circle(model: Model | undefined, path: readonly string[]): MillraceError {
  return new MillraceError('CYCLE', `expected models that do not need each other's columns; got ${path.join(' → ')}`, {
    ...(model === undefined ? {} : { file: model.file, line: model.line }),
    hint: 'declare the columns of one of them',
  })
}
