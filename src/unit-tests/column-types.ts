/** The columns of what a model reads, for tests that leave their types out: declared, or found by asking DuckDB. */
import type { Lease } from '../connections/lease.ts'
import { createDefinition, type DefinitionInput, type ModelDefinition } from '../project/definition.ts'
import type { Model } from '../project/model.ts'
import type { Project } from '../project/project.ts'
import { renderQuery } from '../project/render-model.ts'
import { resolveSeedPath } from '../project/seeds.ts'
import type { SqlParser } from '../project/sql-parser.ts'
import { quoteIdentifier, quoteRelation } from '../sql/identifiers.ts'
import { seedColumnsQuery, type SeedColumn } from '../sql/seed.ts'

export type ColumnTypes = Readonly<Record<string, string>>

/** Answers once for each name; null where the types cannot be known without the data. */
export interface ColumnSource {
  of(name: string): Promise<ColumnTypes | null>
}

interface Surroundings {
  project: Project
  parser: SqlParser
  /** Of a database that holds nothing else. */
  lease: Lease
}

const SCHEMA = 'millrace_types'

export function createColumnSource({ project, parser, lease }: Surroundings): ColumnSource {
  const known = new Map<string, Promise<ColumnTypes | null>>()
  const models = new Map(project.models.filter(({ enabled }) => enabled).map((model) => [model.name, model]))

  function of(name: string): Promise<ColumnTypes | null> {
    const found = known.get(name) ?? find(name)
    known.set(name, found)
    return found
  }

  async function find(name: string): Promise<ColumnTypes | null> {
    const model = models.get(name)
    if (model === undefined) return externalColumns(project, name)
    if (model.columns !== null) return model.columns
    try {
      return model.kind.name === 'SEED' ? await seedColumns(model) : await queryColumns(model)
    } catch {
      // What cannot be asked now is told by the test itself, or by its values.
      return null
    }
  }

  async function seedColumns(model: Model): Promise<ColumnTypes> {
    const path = await resolveSeedPath(model.kind.path ?? '', model, project.root)
    const columns = await lease.rows<SeedColumn>(seedColumnsQuery(path, model.kind.csv_settings))
    return Object.fromEntries(columns.map(({ name, type }) => [name.toLowerCase(), type]))
  }

  /** Every parent stands there as an empty view of its columns. */
  async function queryColumns(model: Model): Promise<ColumnTypes | null> {
    if (model.query === null) return null
    const inputs: Record<string, DefinitionInput> = {}
    for (const parent of model.depends_on) {
      const columns = await of(parent)
      if (columns === null) return null
      const relation = { catalog: null, schema: SCHEMA, name: parent }
      await lease.run(
        `CREATE SCHEMA IF NOT EXISTS ${SCHEMA}; CREATE OR REPLACE VIEW ${quoteRelation(relation)} AS ${emptyQuery(columns)}`,
      )
      inputs[parent] = { type: 'table', relation }
    }
    const query = await renderQuery(definition(model, inputs), {
      interval: [0, 86_400_000],
      executionMs: 0,
      runtimeStage: 'testing',
      thisModel: quoteRelation(model.relation),
      root: project.root,
      parser,
    })
    const rows = await lease.rows<{ column_name: string; column_type: string }>(`DESCRIBE ${query}`)
    return Object.fromEntries(rows.map((row) => [row.column_name.toLowerCase(), row.column_type]))
  }

  function definition(model: Model, inputs: Record<string, DefinitionInput>): ModelDefinition {
    const { audits, variables, gateway, defaultCatalog } = project
    return createDefinition(model, { audits, variables, gateway, defaultCatalog, inputs })
  }

  return { of }
}

/** An entry for the gateway in use wins over one for all. */
function externalColumns({ externals, gateway }: Project, name: string): ColumnTypes | null {
  const entries = externals.filter((one) => one.name === name && (one.gateway ?? gateway) === gateway)
  const entry = entries.find((one) => one.gateway !== null) ?? entries[0]
  return entry?.columns ?? null
}

/** A query with these columns and no rows. */
export function emptyQuery(columns: ColumnTypes): string {
  const list = Object.entries(columns).map(([name, type]) => `CAST(NULL AS ${type}) AS ${quoteIdentifier(name)}`)
  return `SELECT ${list.join(', ')} WHERE FALSE`
}
