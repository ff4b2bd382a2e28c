/** The activity behind `evaluate`: the rows a model's query would give now. What its statements write is rolled back. */
import type { Lease } from '../connections/lease.ts'
import { MillraceError } from '../errors.ts'
import type { EvaluateInput, EvaluatedRows } from '../payloads.ts'
import { createDefinition, type DefinitionInput, type ModelDefinition } from '../project/definition.ts'
import type { Model, RelationName } from '../project/model.ts'
import type { Project } from '../project/project.ts'
import { renderQuery, renderStatements, type RenderOptions } from '../project/render-model.ts'
import { quoteRelation } from '../sql/identifiers.ts'
import { typedQuery } from '../sql/materialize.ts'
import { environmentView } from '../sql/physical.ts'
import { readEnvironment } from '../state/environments.ts'
import { assertStateReadable, readStateVersion } from '../state/schema.ts'
import { leaseCatalogs } from './catalog-leases.ts'
import { toFailure } from './failures.ts'
import { assertExternalsExist } from './plan/plan-checks.ts'
import type { WorkerProject, WorkerProjects } from './worker-projects.ts'

/** Characters of the rows' JSON: a payload may not be larger than 2 MB. */
const MOST_JSON = 1_000_000

export async function evaluateModel(projects: WorkerProjects, input: EvaluateInput): Promise<EvaluatedRows> {
  try {
    const { project, worker } = await projects.load(input.project, {
      ...(input.gateway === undefined ? {} : { gateway: input.gateway }),
      ...(input.vars === undefined ? {} : { vars: input.vars }),
    })
    const model = evaluatedModel(project, input.model)
    if (!worker.databaseExists())
      throw new MillraceError('DATABASE', 'expected the database to be there; nothing has been built in it yet', {
        hint: 'run `build` first',
      })
    await using leases = leaseCatalogs(worker, {
      holder: 'evaluate',
      lockTimeoutMs: input.lockTimeoutSeconds * 1000,
    })
    const lease = await leases.in(null)
    const views = await readViews(lease, project, input.environment)
    await assertExternalsExist(project, [model], lease)
    return await evaluate(lease, worker, { project, model, input, views })
  } catch (error) {
    throw toFailure(error)
  }
}

/** @throws MillraceError UNKNOWN_MODEL for a name that is none, or a seed's: its file says what its rows are. */
function evaluatedModel({ models }: Project, name: string): Model {
  const model = models.find((one) => one.name === name)
  if (model !== undefined && model.query !== null) return model
  throw new MillraceError(
    'UNKNOWN_MODEL',
    `expected the name of a model with a query, got '${name}'${model === undefined ? '' : `, of kind ${model.kind.name}`}`,
  )
}

/** What the environment's models are read as. */
async function readViews(lease: Lease, project: Project, environment: string): Promise<Map<string, RelationName>> {
  const version = await readStateVersion(lease)
  assertStateReadable(version)
  const { models } = version === 0 ? { models: [] } : await readEnvironment(lease, project.name, environment)
  return new Map(models.flatMap(({ model, view }) => (view === null ? [] : [[model, view]])))
}

interface Evaluation {
  project: Project
  model: Model
  input: EvaluateInput
  views: ReadonlyMap<string, RelationName>
}

async function evaluate(
  lease: Lease,
  { parser }: WorkerProject,
  { project, model, input, views }: Evaluation,
): Promise<EvaluatedRows> {
  const definition = defineFor(project, model, views)
  const options: RenderOptions = {
    interval: input.interval,
    executionMs: input.executionMs,
    runtimeStage: 'evaluating',
    thisModel: quoteRelation(views.get(model.name) ?? environmentView(model.relation, input.environment)),
    root: project.root,
    parser,
  }
  const query = await renderQuery(definition, options)
  const sql = model.kind.name === 'EMBEDDED' ? query : typedQuery(query, model.columns)
  const pre = await renderStatements(model.pre, definition, options)
  if (pre.length === 0) return readRows(lease, sql, input.limit)
  return rolledBack(lease, async (session) => {
    for (const statement of pre) await session.run(statement)
    return readRows(session, sql, input.limit)
  })
}

function defineFor(project: Project, model: Model, views: ReadonlyMap<string, RelationName>): ModelDefinition {
  const models = new Map(project.models.filter(({ enabled }) => enabled).map((one) => [one.name, one]))
  const { audits, variables, gateway, defaultCatalog } = project

  function define(one: Model): ModelDefinition {
    const names = one.self_referencing ? [...one.depends_on, one.name] : one.depends_on
    const inputs = Object.fromEntries(names.map((name) => [name, inputOf(name, one)] as const))
    return createDefinition(one, { audits, variables, gateway, defaultCatalog, inputs })
  }

  function inputOf(name: string, reader: Model): DefinitionInput {
    const parent = models.get(name)
    if (parent === undefined) return { type: 'external' }
    if (parent.kind.name === 'EMBEDDED') return { type: 'embedded', definition: define(parent) }
    const view = views.get(name)
    if (view !== undefined) return { type: 'table', relation: view }
    throw new MillraceError(
      'PARENT_NOT_BUILT',
      `model '${reader.name}' reads '${name}', which is not built in the environment`,
      { file: reader.file, hint: `build it: build --select "+${name}"` },
    )
  }
  return define(model)
}

type Session = Pick<Lease, 'run' | 'rows'>

async function readRows(session: Session, query: string, limit: number): Promise<EvaluatedRows> {
  const limited = `SELECT * FROM (\n${query}\n) AS evaluated LIMIT ${limit}`
  const described = await session.rows<{ column_name: string; column_type: string }>(`DESCRIBE ${limited}`)
  const columns = described.map((row) => ({ name: row.column_name, type: row.column_type }))
  const rows = await session.rows(limited)
  const kept: EvaluatedRows['rows'] = []
  let size = 0
  for (const row of rows) {
    size += JSON.stringify(row).length
    if (size > MOST_JSON && kept.length > 0) break
    kept.push(row)
  }
  return { columns, rows: kept, leftOut: rows.length - kept.length }
}

/** Ends what `work` has done without a trace. */
async function rolledBack<T>(lease: Lease, work: (session: Session) => Promise<T>): Promise<T> {
  if (lease.database.capabilities.transactions !== 'calls')
    throw new MillraceError(
      'DATABASE',
      'expected a model without statements before its query: this type of database cannot take back what they write',
    )
  let result: { value: T } | null = null
  const done = new Error('rolled back on purpose')
  try {
    await lease.transaction(async (tx) => {
      result = { value: await work(tx) }
      throw done
    })
  } catch (error) {
    if (error !== done || result === null) throw error
  }
  return (result as unknown as { value: T }).value
}
