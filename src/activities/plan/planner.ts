/** Project + request + state → plan. Reads, writes nothing; `plan` and `build` share it. */
import type { Lease } from '../../connections/lease.ts'
import { createModelGraph, type ModelGraph } from '../../graph/model-graph.ts'
import type { Coverage, PlanNode } from '../../graph/plan-context.ts'
import { modifiedModels } from '../../graph/modified-models.ts'
import { planBuild, type Plan } from '../../graph/plan.ts'
import { needsFacts, selectModels } from '../../graph/select.ts'
import { planSteps, type StepContext } from '../../graph/steps.ts'
import type { BuildStep, SourceReport } from '../../payloads.ts'
import { FINGERPRINT_FORMAT, isKnownFormat, sha256 } from '../../project/fingerprint.ts'
import { DEFAULT_STEP } from '../../project/millrace-settings.ts'
import type { Model } from '../../project/model.ts'
import type { Project } from '../../project/project.ts'
import { readEnvironment, type EnvironmentState } from '../../state/environments.ts'
import { readFailedModels } from '../../state/builds.ts'
import { readCoverage } from '../../state/ledger.ts'
import { readDurations } from '../../state/outcomes.ts'
import { assertStateReadable, readStateVersion } from '../../state/schema.ts'
import { readVersions, type StoredVersion } from '../../state/versions.ts'
import type { CatalogLeases } from '../catalog-leases.ts'
import { defineModels, type Definitions } from './define-models.ts'
import { attachedCatalogs, modelCatalogs } from './model-catalogs.ts'
import { assertBuildable, assertPlanSize, assertExternalsExist, assertRefreshable } from './plan-checks.ts'
import { planNodes } from './plan-nodes.ts'
import { readFreshness } from './source-freshness.ts'
import { assertPlannable, toRange, toSelection, type PlanScope } from './plan-scope.ts'

export interface PlanOptions extends PlanScope {
  /** Tells one full refresh from another. */
  refreshId: string
}

export interface MadePlan {
  plan: Plan
  steps: BuildStep[]
  definitions: Definitions
  environment: EnvironmentState
  /** Attached catalogs that hold models. */
  catalogs: string[]
  /** How old what it reads is. */
  sources: SourceReport[]
}

/** What a database's state says of its models; empty where there is none. */
interface KnownModels {
  versions: StoredVersion[]
  coverage: Map<string, Coverage>
  durations: Map<string, number>
}

interface KnownState extends KnownModels {
  environment: EnvironmentState
}

/** @param leases null when there is no database yet: everything is new. */
export async function makePlan(
  project: Project,
  leases: CatalogLeases | null,
  options: PlanOptions,
): Promise<MadePlan> {
  assertPlannable(project, options)
  const models = project.models.filter((model) => model.enabled)
  const nodes = await planNodes(project, models, options.executionMs)
  const graph = createModelGraph(nodes)
  const catalogs = modelCatalogs(project, models)
  const place = { project: project.name, environment: options.environment, catalogs }
  const state = await readState(leases, place)
  const known = {
    environment: new Map(state.environment.models.map((entry) => [entry.model, entry])),
    versions: byModel(state.versions.filter(({ format }) => isKnownFormat(format))),
    coverage: state.coverage,
    project: project.name,
    hash: sha256,
  }
  const selection = toSelection(options)
  const facts = needsFacts(selection)
    ? { modified: modifiedModels(graph, known), failed: await readFailed(leases, place) }
    : null
  const selected = withEmbedded(graph, selectModels(graph, selection, facts))
  const chosen = models.filter((model) => selected.has(model.name))
  assertBuildable(project, chosen)

  const main = (await leases?.in(null)) ?? null
  await assertExternalsExist(project, chosen, main)
  const plan = planBuild({
    graph,
    selected,
    selective: options.select !== undefined || options.exclude !== undefined,
    ...known,
    range: toRange(options),
    refresh: options.fullRefresh === true ? options.refreshId : null,
    format: FINGERPRINT_FORMAT,
  })
  if (options.fullRefresh === true) assertRefreshable(chosen)
  const sources = await readFreshness(project, plan, main, options.executionMs)
  // As the connection has it, where it is open: what is built in another catalog names it.
  const mainCatalog = main?.database.catalog ?? project.defaultCatalog
  const all = catalogs.length === 0 ? null : { main: mainCatalog, attached: [...attachedCatalogs(project).keys()] }
  const definitions = defineModels(project, models, { plan, catalogs: all })
  const hashes = new Map([...definitions].map(([name, { hash }]) => [name, hash]))
  const steps = planSteps(plan.models, {
    graph,
    definitions: hashes,
    durations: state.durations,
    coverage: state.coverage,
    settings: stepSettings(project, models),
  })
  assertPlanSize(steps.length)
  return { plan, steps, definitions, environment: state.environment, catalogs, sources }
}

/** The first entry of millrace.yaml whose pattern fits decides; what is default is left out of the payload. */
function stepSettings({ config }: Project, models: readonly Model[]): StepContext['settings'] {
  const catalogs = new Map(
    models.flatMap(({ name, relation: { catalog } }) => (catalog === null ? [] : [[name, catalog]])),
  )
  const entries = config.millrace.steps.map(({ models, timeoutMs, attempts }) => ({
    pattern: new RegExp(`^${models.split('*').map(escapeRegExp).join('.*')}$`, 'i'),
    settings: {
      ...(timeoutMs === DEFAULT_STEP.timeoutMs ? {} : { timeoutMs }),
      ...(attempts === DEFAULT_STEP.attempts ? {} : { attempts }),
    },
  }))
  return (model) => {
    const catalog = catalogs.get(model)
    return {
      ...(catalog === undefined ? {} : { catalog }),
      ...entries.find(({ pattern }) => pattern.test(model))?.settings,
    }
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

/** An embedded model is a part of whoever reads it: selecting the reader selects it too. */
function withEmbedded(graph: ModelGraph<PlanNode>, selected: ReadonlySet<string>): Set<string> {
  const all = new Set(selected)
  // Children come after parents in `names`: one pass from the end reaches chains of embedded models.
  for (const name of [...graph.names].reverse()) {
    if (!all.has(name)) continue
    for (const parent of graph.parents(name)) if (graph.get(parent).kind.name === 'EMBEDDED') all.add(parent)
  }
  return all
}

interface StatePlace {
  project: string
  environment: string
  /** Attached ones; main database aside. */
  catalogs: readonly string[]
}

async function readState(
  leases: CatalogLeases | null,
  { project, environment, catalogs }: StatePlace,
): Promise<KnownState> {
  const nothing = { revision: 0, models: [] }
  if (leases === null) return { environment: nothing, versions: [], coverage: new Map(), durations: new Map() }
  const main = await leases.in(null)
  const hasState = await stateIsThere(main)
  const state = {
    environment: hasState ? await readEnvironment(main, project, environment) : nothing,
    ...(await readModels(hasState ? main : null, project)),
  }
  for (const catalog of catalogs) {
    const lease = await leases.in(catalog)
    const { versions, coverage, durations } = await readModels((await stateIsThere(lease)) ? lease : null, project)
    state.versions.push(...versions)
    for (const [version, covered] of coverage) state.coverage.set(version, covered)
    for (const [model, ms] of durations) state.durations.set(model, ms)
  }
  return state
}

/** Models that failed in the environment's latest build. */
async function readFailed(
  leases: CatalogLeases | null,
  { project, environment }: StatePlace,
): Promise<ReadonlySet<string>> {
  const main = (await leases?.in(null)) ?? null
  if (main === null || !(await stateIsThere(main))) return new Set()
  return new Set(await readFailedModels(main, project, environment))
}

/** @throws MillraceError STATE_NEWER */
async function stateIsThere(lease: Lease): Promise<boolean> {
  const version = await readStateVersion(lease)
  assertStateReadable(version)
  return version > 0
}

async function readModels(lease: Lease | null, project: string): Promise<KnownModels> {
  if (lease === null) return { versions: [], coverage: new Map(), durations: new Map() }
  return {
    versions: await readVersions(lease, project),
    coverage: await readCoverage(lease, project),
    durations: await readDurations(lease),
  }
}

function byModel(versions: readonly StoredVersion[]): Map<string, StoredVersion[]> {
  const map = new Map<string, StoredVersion[]>()
  for (const version of versions) map.set(version.model, [...(map.get(version.model) ?? []), version])
  return map
}
