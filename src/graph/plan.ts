/**
 * Project + selection + what is built already → what a build does, and why. Pure: hashes come in through a function,
 * the time now is a parameter.
 */
import { MillraceError, ProjectError } from '../errors.ts'
import type { ChangeCategory } from '../payloads.ts'
import { chooseVersion, findVersion, ownDataChanged } from './choose-version.ts'
import { batches, mergeIntervals, missingIntervals, type Interval } from './intervals.ts'
import type { ModelGraph } from './model-graph.ts'
import { hasInterval, hasTable, isSerial } from '../project/model.ts'
import type { Coverage, EnvironmentEntry, PlanContext, PlannedModel, PlanNode } from './plan-context.ts'

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
  const { version, fingerprint, isNew } = chooseVersion(node, planned, context)
  const coverage = context.coverage.get(version)
  const due = dueSteps(node, { coverage, inputs, planned }, context)
  const category = categorize(node, version, context)
  // What is not promoted keeps the old metadata: audits that failed run again with the next build.
  const auditsOnly = category === 'metadata' && node.audited === true && due.length === 0 && coverage !== undefined
  const model: PlannedModel = {
    name: node.name,
    kind: node.kind.name,
    version,
    fingerprint,
    hasTable: hasTable(node.kind),
    isNew,
    category,
    reason: null,
    selected: true,
    batches: auditsOnly ? [null] : due,
    auditsOnly,
    intervals: mergeIntervals(due.filter((batch) => batch !== null)),
    serial: node.self_referencing || isSerial(node.kind),
    inputs,
  }
  return { ...model, reason: explain(model, coverage, planned, context) }
}

function categorize(node: PlanNode, version: string, context: PlanContext): ChangeCategory | null {
  const current = context.environment.get(node.name)
  if (current === undefined) return 'added'
  if (node.kind.name === 'AUDIT') return ownDataChanged(node, current, context) ? 'metadata' : null
  if (current.version === version) return current.metadataHash === node.metadataHash ? null : 'metadata'
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
  const model: PlannedModel = {
    name: node.name,
    kind: node.kind.name,
    version: current.version,
    fingerprint: findVersion(node.name, current.version, context)?.fingerprint ?? '',
    hasTable: hasTable(node.kind),
    isNew: false,
    category: null,
    reason: null,
    selected: false,
    batches: [],
    auditsOnly: false,
    intervals: [],
    serial: false,
    inputs: context.coverage.get(current.version)?.inputs ?? '',
  }
  return { model, stale: changedParent }
}

interface Due {
  coverage: Coverage | undefined
  inputs: string
  planned: ReadonlyMap<string, PlannedModel>
}

function dueSteps(node: PlanNode, { coverage, inputs, planned }: Due, context: PlanContext): (Interval | null)[] {
  if (hasTable(node.kind)) return dueBatches(node, coverage, inputs, context)
  if (node.kind.name !== 'AUDIT') return []
  // A standalone audit looks at whole tables: again when it is another one, or something that it reads is written.
  return coverage === undefined || readsWritten(node.name, planned, context) ? [null] : []
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

/** The steps a version lacks. */
function dueBatches(
  node: PlanNode,
  coverage: Coverage | undefined,
  inputs: string,
  context: PlanContext,
): (Interval | null)[] {
  if (node.kind.name === 'SEED') return coverage?.inputs === inputs ? [] : [null]
  const { range } = context
  // Clipped, so that a model whose end has passed is finished, its lookback too.
  const end = Math.min(range.end, node.end ?? range.end)
  const request = { start: range.start ?? node.start ?? range.now, end, now: range.now }
  const missing = missingIntervals({ ...node, kind: node.kind.name }, request, coverage?.intervals ?? [])
  // Nothing is due yet, but the table must be there when its view is.
  if (missing.length === 0 && coverage === undefined) return [null]
  if (hasInterval(node.kind)) return batches(missing, node.kind.batch_size ?? null)
  // A full-history kind is rebuilt as a whole, once, however many units are missing.
  const reseeded = coverage !== undefined && coverage.inputs !== inputs
  if (missing.length === 0 && !reseeded) return []
  const whole = mergeIntervals([...(coverage?.intervals ?? []), ...missing])
  const [first, last] = [whole[0], whole.at(-1)]
  return first === undefined || last === undefined ? [null] : [{ start: first.start, end: last.end }]
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
  coverage: Coverage | undefined,
  planned: ReadonlyMap<string, PlannedModel>,
  context: PlanContext,
): string | null {
  if (context.refresh !== null) return 'full refresh'
  if (model.category === 'added') return model.kind === 'AUDIT' ? 'new audit' : 'new model'
  if (model.category === 'breaking') return 'its definition changed'
  if (model.category === 'indirect_breaking') {
    const changed = context.graph.dataParents(model.name).filter((name) => changesData(planned.get(name)))
    return `${changed.join(', ') || 'a parent'} changed`
  }
  if (model.kind === 'AUDIT' && model.category === 'metadata') return 'its definition changed'
  if (model.batches.length === 0) return model.category === 'metadata' ? 'its metadata changed' : null
  if (model.kind === 'AUDIT') return 'what it reads is written'
  if (model.auditsOnly) return 'its metadata changed; its audits run again'
  if (model.kind === 'SEED') return 'its file changed'
  return coverage === undefined ? 'not built yet' : 'new data is due'
}

function changesData(parent: PlannedModel | undefined): boolean {
  return parent !== undefined && parent.category !== null && parent.category !== 'metadata'
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
