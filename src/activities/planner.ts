/** Project + request + state → plan. Reads, writes nothing; `plan` and `build` share it. */
import type { Lease } from '../connections/lease.ts'
import { createModelGraph, type ModelGraph } from '../graph/model-graph.ts'
import type { Coverage, PlanNode } from '../graph/plan-context.ts'
import { planBuild, type Plan } from '../graph/plan.ts'
import { selectModels } from '../graph/select.ts'
import { planSteps } from '../graph/steps.ts'
import type { BuildStep } from '../payloads.ts'
import { FINGERPRINT_FORMAT, isKnownFormat, sha256 } from '../project/fingerprint.ts'
import { DEFAULT_STEP } from '../project/millrace-settings.ts'
import type { Project } from '../project/project.ts'
import { readEnvironment, type EnvironmentState } from '../state/environments.ts'
import { readCoverage } from '../state/ledger.ts'
import { readDurations } from '../state/outcomes.ts'
import { assertStateReadable, readStateVersion } from '../state/schema.ts'
import { readVersions, type StoredVersion } from '../state/versions.ts'
import { defineModels, type Definitions } from './define-models.ts'
import { assertBuildable, assertExternalsExist, assertRefreshable } from './plan-checks.ts'
import { planNodes } from './plan-nodes.ts'
import { assertPlannable, toRange, toSelection, type PlanScope } from './plan-scope.ts'

type Session = Pick<Lease, 'run' | 'rows'>

export interface PlanOptions extends PlanScope {
  /** Tells one full refresh from another. */
  refreshId: string
}

export interface MadePlan {
  plan: Plan
  steps: BuildStep[]
  definitions: Definitions
  environment: EnvironmentState
  stateVersion: number
}

/** What the state says; empty where there is none. */
interface KnownState {
  stateVersion: number
  environment: EnvironmentState
  versions: StoredVersion[]
  coverage: Map<string, Coverage>
  durations: Map<string, number>
}

/** @param session null when there is no database yet: everything is new. */
export async function makePlan(project: Project, session: Session | null, options: PlanOptions): Promise<MadePlan> {
  assertPlannable(project, options)
  const models = project.models.filter((model) => model.enabled)
  const nodes = await planNodes(project, models, options.executionMs)
  const graph = createModelGraph(nodes)
  const selected = withEmbedded(graph, selectModels(graph, toSelection(options)))
  const chosen = models.filter((model) => selected.has(model.name))
  assertBuildable(project, chosen)

  const state = await readState(session, project.name, options.environment)
  await assertExternalsExist(project, chosen, session)
  const plan = planBuild({
    graph,
    selected,
    selective: options.select !== undefined || options.exclude !== undefined,
    environment: new Map(state.environment.models.map((entry) => [entry.model, entry])),
    versions: byModel(state.versions.filter(({ format }) => isKnownFormat(format))),
    coverage: state.coverage,
    range: toRange(options),
    refresh: options.fullRefresh === true ? options.refreshId : null,
    project: project.name,
    format: FINGERPRINT_FORMAT,
    hash: sha256,
  })
  if (options.fullRefresh === true) assertRefreshable(chosen)
  const definitions = defineModels(project, models, plan)
  const hashes = new Map([...definitions].map(([name, { hash }]) => [name, hash]))
  const steps = planSteps(plan.models, {
    graph,
    definitions: hashes,
    durations: state.durations,
    coverage: state.coverage,
    settings: stepSettings(project),
  })
  return { plan, steps, definitions, environment: state.environment, stateVersion: state.stateVersion }
}

/** The first entry of millrace.yaml whose pattern fits decides; what is default is left out of the payload. */
function stepSettings({ config }: Project): (model: string) => Pick<BuildStep, 'timeoutMs' | 'attempts'> {
  const entries = config.millrace.steps.map(({ models, timeoutMs, attempts }) => ({
    pattern: new RegExp(`^${models.split('*').map(escapeRegExp).join('.*')}$`, 'i'),
    settings: {
      ...(timeoutMs === DEFAULT_STEP.timeoutMs ? {} : { timeoutMs }),
      ...(attempts === DEFAULT_STEP.attempts ? {} : { attempts }),
    },
  }))
  return (model) => entries.find(({ pattern }) => pattern.test(model))?.settings ?? {}
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

async function readState(session: Session | null, project: string, environment: string): Promise<KnownState> {
  const stateVersion = session === null ? 0 : await readStateVersion(session)
  assertStateReadable(stateVersion)
  if (session === null || stateVersion === 0) {
    const nothing = { revision: 0, models: [] }
    return { stateVersion, environment: nothing, versions: [], coverage: new Map(), durations: new Map() }
  }
  return {
    stateVersion,
    environment: await readEnvironment(session, project, environment),
    versions: await readVersions(session, project),
    coverage: await readCoverage(session, project),
    durations: await readDurations(session),
  }
}

function byModel(versions: readonly StoredVersion[]): Map<string, StoredVersion[]> {
  const map = new Map<string, StoredVersion[]>()
  for (const version of versions) map.set(version.model, [...(map.get(version.model) ?? []), version])
  return map
}
