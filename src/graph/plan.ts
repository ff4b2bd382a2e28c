/**
 * Project + selection + what is built already → what a build does, and why. Pure: hashes come in through a function,
 * the time now is a parameter.
 */
import { MillraceError, ProjectError } from '../errors.ts'
import type { ChangeCategory } from '../payloads.ts'
import {
  chooseVersion,
  findVersion,
  onlyParentsRestated,
  ownDataChanged,
  replacingVersion,
  type ChosenVersion,
} from './choose-version.ts'
import { dueBatches, type DueVersion } from './due-batches.ts'
import { mergeIntervals, type Interval } from './intervals.ts'
import type { ModelGraph } from './model-graph.ts'
import { hasInterval, hasTable, isSerial, restatesWhole } from '../project/model.ts'
import type { Coverage, EnvironmentEntry, PlanContext, PlannedModel, PlanNode, Restated } from './plan-context.ts'
import { askOf, restate, restatementRefusal, startsAutoRestatement, type Ask } from './restate.ts'

export interface Plan {
  /** In topological order; models the environment does not get are left out. */
  models: PlannedModel[]
  removed: string[]
  /** Unselected children that keep reading an older version of a changed parent. */
  stale: string[]
  /** Entries of the environment after promotion. */
  target: EnvironmentEntry[]
  /** The environment differs from `target`. */
  promotes: boolean
}

/** @throws ProjectError with a PARENT_NOT_BUILT for each selected model that reads an unselected one the environment lacks. */
export function planBuild(context: PlanContext): Plan {
  const planned = new Map<string, PlannedModel>()
  const missing: MillraceError[] = []
  const stale: string[] = []
  for (const name of context.graph.names) {
    const node = context.graph.get(name)
    if (context.selected.has(name)) {
      const parent = unbuiltParent(node, planned, context.graph)
      if (parent === null) planned.set(name, planSelected(node, planned, context))
      else missing.push(parentNotBuilt(node, parent))
    } else {
      const kept = keepVersion(node, planned, context)
      if (kept === null) continue
      planned.set(name, kept.model)
      if (kept.stale) stale.push(name)
    }
  }
  if (missing.length > 0) throw new ProjectError(missing)

  const models = [...planned.values()]
  const removed = context.selective ? [] : [...context.environment.keys()].filter((name) => !planned.has(name)).sort()
  const target = targetEnvironment(models, removed, context)
  return { models, removed, stale, target, promotes: differs(target, context.environment) }
}

function planSelected(node: PlanNode, planned: ReadonlyMap<string, PlannedModel>, context: PlanContext): PlannedModel {
  const inputs = seedInputs(node, planned, context)
  const found = chooseVersion(node, planned, context)
  const ask = askOf(node, found.version, planned, context)
  const asked = restate(node, found.version, ask, context)
  const { restated, ...chosen } = placeRestated(node, planned, context, { found, asked })
  const category = categorize(node, { ...found, version: chosen.version }, planned, context)
  const onlyRestated =
    restated?.replacedBy != null ||
    (category === 'indirect_breaking' && context.refresh === null && onlyParentsRestated(node, planned, context))
  const wholeHistory = onlyRestated || takesWholeHistory(node, chosen.version, context)
  const coverage = context.coverage.get(chosen.version)
  const due = dueSteps(node, { version: chosen.version, inputs, restated, wholeHistory }, planned, context)
  // What is not promoted keeps the old metadata: audits that failed run again with the next build.
  const auditsOnly = category === 'metadata' && node.audited === true && due.length === 0 && coverage !== undefined
  const model: PlannedModel = {
    name: node.name,
    kind: node.kind.name,
    ...chosen,
    hasTable: hasTable(node.kind),
    category,
    reason: null,
    selected: true,
    batches: auditsOnly ? [null] : due,
    auditsOnly,
    intervals: mergeIntervals(due.filter((batch) => batch !== null)),
    concurrency: concurrencyOf(node),
    leads: node.kind.forward_only === true,
    inputs,
    restated,
    notRestated: ask === null ? null : restatementRefusal(node),
    onlyRestated,
    startsAutoRestatement: startsAutoRestatement(node, chosen.version, context),
  }
  return { ...model, reason: explain(model, { coverage, ask }, planned, context) }
}

type Placed = ChosenVersion & { restated: Restated | null }

/** In place where its parts can be built again one by one or all at once; else as a version of its own, which is promoted when all of it is there. */
function placeRestated(
  node: PlanNode,
  planned: ReadonlyMap<string, PlannedModel>,
  context: PlanContext,
  { found, asked }: { found: ChosenVersion; asked: Restated | null },
): Placed {
  if (asked === null || asked.intervals.length === 0 || !restatesWhole(node.kind)) return { ...found, restated: asked }
  const pending = asked.asked === null ? (context.pending.get(found.version) ?? null) : null
  const replacing = replacingVersion(node, planned, context, pending)
  return { ...replacing, restated: { ...asked, replacedBy: replacing.version } }
}

/** A range limits what is restated, not what a new version has when it is promoted; a refresh without a start has no such limit. */
function takesWholeHistory(
  node: PlanNode,
  version: string,
  { restate, refresh, range, environment }: PlanContext,
): boolean {
  if (refresh !== null) return range.start === null
  return restate !== null && environment.get(node.name)?.version !== version
}

function concurrencyOf(node: PlanNode): number | null {
  return node.self_referencing || isSerial(node.kind) ? 1 : (node.kind.batch_concurrency ?? null)
}

function categorize(
  node: PlanNode,
  { version, adopts }: Pick<ChosenVersion, 'version' | 'adopts'>,
  planned: ReadonlyMap<string, PlannedModel>,
  context: PlanContext,
): ChangeCategory | null {
  const current = context.environment.get(node.name)
  if (current === undefined) return 'added'
  if (node.kind.name === 'AUDIT') return ownDataChanged(node, current, context) ? 'metadata' : null
  if (current.version === version) {
    const changed = adopts && (ownDataChanged(node, current, context) || !onlyParentsRestated(node, planned, context))
    if (changed) return 'forward_only'
    return current.metadataHash === node.metadataHash ? null : 'metadata'
  }
  return context.refresh === null && !ownDataChanged(node, current, context) ? 'indirect_breaking' : 'breaking'
}

/** An unselected model stays as the environment has it; null when the environment does not have it. */
function keepVersion(
  node: PlanNode,
  planned: ReadonlyMap<string, PlannedModel>,
  context: PlanContext,
): { model: PlannedModel; stale: boolean } | null {
  const current = context.environment.get(node.name)
  if (current === undefined) return null
  const changedParent = context.graph.dataParents(node.name).some((name) => {
    const parent = planned.get(name)
    return parent !== undefined && parent.version !== context.environment.get(name)?.version
  })
  const ask = askOf(node, current.version, planned, context)
  const restated = restate(node, current.version, ask, context)
  const model: PlannedModel = {
    name: node.name,
    kind: node.kind.name,
    version: current.version,
    fingerprint: findVersion(node.name, current.version, context)?.fingerprint ?? '',
    hasTable: hasTable(node.kind),
    isNew: false,
    adopts: false,
    category: null,
    reason: null,
    selected: false,
    batches: [],
    auditsOnly: false,
    intervals: [],
    concurrency: null,
    leads: false,
    // What it reads is built again without it: the state remembers that its turn is still to come.
    restated: ask === null ? null : restated,
    notRestated: null,
    onlyRestated: false,
    startsAutoRestatement: false,
    inputs: context.coverage.get(current.version)?.inputs ?? '',
  }
  return { model, stale: changedParent }
}

function dueSteps(
  node: PlanNode,
  due: DueVersion,
  planned: ReadonlyMap<string, PlannedModel>,
  context: PlanContext,
): (Interval | null)[] {
  if (hasTable(node.kind)) return dueBatches(node, due, context)
  if (node.kind.name !== 'AUDIT') return []
  // A standalone audit looks at whole tables: again when it is another one, or something that it reads is written.
  const isNew = context.coverage.get(due.version) === undefined
  return isNew || readsWritten(node.name, planned, context) ? [null] : []
}

function readsWritten(name: string, planned: ReadonlyMap<string, PlannedModel>, context: PlanContext): boolean {
  return context.graph.parents(name).some((parent) => {
    const model = planned.get(parent)
    if (model === undefined) return false
    // What a view or an embedded model reads, its readers read.
    const isOpened = model.kind === 'VIEW' || model.kind === 'EMBEDDED'
    return (model.batches.length > 0 && !model.auditsOnly) || (isOpened && readsWritten(parent, planned, context))
  })
}

/** Content of the seeds that reach a model through kinds without a history of their own. */
function seedInputs(node: PlanNode, planned: ReadonlyMap<string, PlannedModel>, context: PlanContext): string {
  if (node.kind.name === 'SEED') return node.content ?? ''
  if (hasInterval(node.kind)) return ''
  const contents = context.graph.dataParents(node.name).map((name) => planned.get(name)?.inputs ?? '')
  const distinct = [...new Set(contents.filter((content) => content !== ''))].sort()
  return distinct.length === 0 ? '' : context.hash(distinct).slice(0, 16)
}

function explain(
  model: PlannedModel,
  { coverage, ask }: { coverage: Coverage | undefined; ask: Ask | null },
  planned: ReadonlyMap<string, PlannedModel>,
  context: PlanContext,
): string | null {
  if (context.refresh !== null) return 'full refresh'
  if (model.category === 'added') return model.kind === 'AUDIT' ? 'new audit' : 'new model'
  if (model.restated !== null && model.restated.intervals.length > 0) {
    return ask?.reason ?? 'it was to be restated, which has not succeeded yet'
  }
  if (model.category === 'breaking') return 'its definition changed'
  if (model.category === 'forward_only')
    return 'it changed: its table stays, what is built from now on is of the new kind'
  if (model.category === 'indirect_breaking') {
    const changed = context.graph.dataParents(model.name).filter((name) => changesData(planned.get(name)))
    return `${changed.join(', ') || 'a parent'} ${model.onlyRestated ? 'restated' : 'changed'}`
  }
  if (model.notRestated !== null) return `not restated: ${model.notRestated}`
  if (model.kind === 'AUDIT' && model.category === 'metadata') return 'its definition changed'
  if (model.batches.length === 0) return model.category === 'metadata' ? 'its metadata changed' : null
  if (model.kind === 'AUDIT') return 'what it reads is written'
  if (model.auditsOnly) return 'its metadata changed; its audits run again'
  if (model.kind === 'SEED') return 'its file changed'
  return coverage === undefined ? 'not built yet' : 'new data is due'
}

/** Changes that leave a model's table as it is. */
const KEEPS_DATA: ReadonlySet<ChangeCategory> = new Set<ChangeCategory>(['metadata', 'forward_only'])

function changesData(parent: PlannedModel | undefined): boolean {
  return parent !== undefined && parent.category !== null && !KEEPS_DATA.has(parent.category)
}

function unbuiltParent(
  node: PlanNode,
  planned: ReadonlyMap<string, PlannedModel>,
  graph: ModelGraph<PlanNode>,
): string | null {
  return graph.parents(node.name).find((name) => !planned.has(name)) ?? null
}

function parentNotBuilt(node: PlanNode, parent: string): MillraceError {
  return new MillraceError(
    'PARENT_NOT_BUILT',
    `model '${node.name}' reads '${parent}', which is neither built in the environment nor selected`,
    { file: node.file, hint: `select it too: --select "+${node.name}"` },
  )
}

function targetEnvironment(
  models: readonly PlannedModel[],
  removed: readonly string[],
  context: PlanContext,
): EnvironmentEntry[] {
  const target = new Map(context.environment)
  for (const name of removed) target.delete(name)
  for (const model of models) {
    if (!model.selected) continue
    target.set(model.name, {
      model: model.name,
      version: model.version,
      metadataHash: context.graph.get(model.name).metadataHash,
    })
  }
  return [...target.values()]
}

function differs(target: readonly EnvironmentEntry[], environment: ReadonlyMap<string, EnvironmentEntry>): boolean {
  if (target.length !== environment.size) return true
  return target.some((entry) => {
    const current = environment.get(entry.model)
    return current?.version !== entry.version || current.metadataHash !== entry.metadataHash
  })
}
