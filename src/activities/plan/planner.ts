/** Project + request + state → plan. Reads, writes nothing; `plan` and `build` share it. */
import type { Lease } from '../../connections/lease.ts'
import { createModelGraph, type ModelGraph } from '../../graph/model-graph.ts'
import type { Coverage, PendingRestatement, PlanNode } from '../../graph/plan-context.ts'
import { modifiedModels } from '../../graph/modified-models.ts'
import { planBuild, type Plan } from '../../graph/plan.ts'
import { needsFacts } from '../../graph/select.ts'
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
import { readAutoRestated, readPending } from '../../state/restatements.ts'
import { assertStateReadable, readStateVersion } from '../../state/schema.ts'
import { readVersions, type StoredVersion } from '../../state/versions.ts'
import type { CatalogLeases } from '../catalog-leases.ts'
import { defineModels, type Definitions } from './define-models.ts'
import { attachedCatalogs, modelCatalogs } from './model-catalogs.ts'
import { assertBuildable, assertPlanSize, assertExternalsExist, assertRefreshable } from './plan-checks.ts'
import { planNodes } from './plan-nodes.ts'
import { assertPlannable, chooseModels, toRange, toSelection, type PlanScope } from './plan-scope.ts'
import { readFreshness } from './source-freshness.ts'

export interface PlanOptions extends PlanScope {
  /** Tells one full refresh from another, or one restatement. */
  refreshId: string
}

export interface MadePlan {
  plan: Plan
  steps: BuildStep[]
  definitions: Definitions
  environment: EnvironmentState
  /** Attached catalogs that hold models. */
  catalogs: string[]
  /** What was now. */
  executionMs: number
  /** The state remembers restatements that had not succeeded. */
  hasPending: boolean
  /** How old what it reads is. */
  sources: SourceReport[]
}

/** What a database's state says of its models; empty where there is none. */
interface KnownModels {
  versions: StoredVersion[]
  coverage: Map<string, Coverage>
  durations: Map<string, number>
  pending: Map<string, PendingRestatement>
  autoRestated: Map<string, number>
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
  const texts = [toSelection(options), ...(options.restate ?? []).map((select) => ({ select }))]
  const facts = texts.some(needsFacts)
    ? { modified: modifiedModels(graph, known), failed: await readFailed(leases, place) }
    : null
  const asked = chooseModels(graph, options, facts)
  const selected = withEmbedded(graph, asked.selected)
  const chosen = models.filter((model) => selected.has(model.name))
  assertBuildable(project, chosen)

  const main = (await leases?.in(null)) ?? null
  await assertExternalsExist(project, chosen, main)
  const plan = planBuild({
    graph,
    selected,
    selective: [options.select, options.exclude, options.restate].some((given) => given !== undefined),
    ...known,
    restate: asked.restate,
    restatement: options.refreshId,
    pending: state.pending,
    autoRestated: state.autoRestated,
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
  const { environment, pending } = state
  const { executionMs } = options
  return { plan, steps, definitions, environment, catalogs, executionMs, hasPending: pending.size > 0, sources }
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
  if (leases === null) return { environment: nothing, ...NOTHING_KNOWN() }
  const main = await leases.in(null)
  const state = {
    environment: (await readableVersion(main)) > 0 ? await readEnvironment(main, project, environment) : nothing,
    ...(await readModels(main, project)),
  }
  for (const catalog of catalogs) {
    const lease = await leases.in(catalog)
    const there = await readModels(lease, project)
    state.versions.push(...there.versions)
    for (const [version, covered] of there.coverage) state.coverage.set(version, covered)
    for (const [model, ms] of there.durations) state.durations.set(model, ms)
    for (const [version, restatement] of there.pending) state.pending.set(version, restatement)
    for (const [version, ms] of there.autoRestated) state.autoRestated.set(version, ms)
  }
  return state
}

/** Models that failed in the environment's latest build. */
async function readFailed(
  leases: CatalogLeases | null,
  { project, environment }: StatePlace,
): Promise<ReadonlySet<string>> {
  const main = (await leases?.in(null)) ?? null
  if (main === null || (await readableVersion(main)) === 0) return new Set()
  return new Set(await readFailedModels(main, project, environment))
}

/** The state's version; 0 without one. @throws MillraceError STATE_NEWER */
async function readableVersion(lease: Lease): Promise<number> {
  const version = await readStateVersion(lease)
  assertStateReadable(version)
  return version
}

const NOTHING_KNOWN = (): KnownModels => ({
  versions: [],
  coverage: new Map(),
  durations: new Map(),
  pending: new Map(),
  autoRestated: new Map(),
})

/** The first version of the state that knows of restatements; a preview reads older ones as they are. */
const RESTATEMENTS_SINCE = 4

async function readModels(lease: Lease, project: string): Promise<KnownModels> {
  const version = await readableVersion(lease)
  if (version === 0) return NOTHING_KNOWN()
  const older = version < RESTATEMENTS_SINCE
  return {
    ...NOTHING_KNOWN(),
    versions: await readVersions(lease, project),
    coverage: await readCoverage(lease, project),
    durations: await readDurations(lease),
    ...(older
      ? {}
      : { pending: await readPending(lease, project), autoRestated: await readAutoRestated(lease, project) }),
  }
}

function byModel(versions: readonly StoredVersion[]): Map<string, StoredVersion[]> {
  const map = new Map<string, StoredVersion[]>()
  for (const version of versions) map.set(version.model, [...(map.get(version.model) ?? []), version])
  return map
}
