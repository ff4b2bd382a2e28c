/** What a build is asked for: refused where no database is needed to refuse it. */
import { MillraceError } from '../../errors.ts'
import { createModelGraph, type GraphNode, type ModelGraph } from '../../graph/model-graph.ts'
import type { PlanContext, PlanNode } from '../../graph/plan-context.ts'
import { modelsToRestate, restatedSelection } from '../../graph/restate-selection.ts'
import { selectModels, type Facts, type Selection } from '../../graph/select.ts'
import { parseTime, toIso } from '../../graph/time.ts'
import type { BuildInput } from '../../payloads.ts'
import type { Project } from '../../project/project.ts'
import { assertBuildable, assertRefreshable } from './plan-checks.ts'

export interface PlanScope extends Pick<
  BuildInput,
  'select' | 'exclude' | 'start' | 'end' | 'fullRefresh' | 'restate' | 'retryOf'
> {
  environment: string
  /** Epoch ms. */
  executionMs: number
}

/**
 * Called before anything is opened or started, so that a mistake leaves nothing behind.
 * @throws MillraceError NOT_YET, USAGE, SELECTION; ProjectError naming every model that cannot be built.
 */
export function assertPlannable(project: Project, request: PlanScope): void {
  if (request.environment !== 'prod') {
    throw new MillraceError('NOT_YET', `only the environment 'prod' can be built yet; got '${request.environment}'`)
  }
  toRange(request)
  const models = project.models.filter((model) => model.enabled)
  assertRestatement(request)
  const { selected } = chooseModels(createModelGraph(models), request, 'later')
  const chosen = models.filter((model) => selected.has(model.name))
  assertBuildable(project, chosen)
  if (request.fullRefresh === true) assertRefreshable(chosen)
}

/** Names of the models that are built, and of those whose history is built again. @throws MillraceError SELECTION, USAGE */
export function chooseModels(
  graph: ModelGraph<GraphNode & Pick<PlanNode, 'kind'>>,
  request: PlanScope,
  facts: Facts,
): { selected: Set<string>; restate: Set<string> | null } {
  const selection = toSelection(request)
  if (request.restate === undefined) return { selected: selectModels(graph, selection, facts), restate: null }
  const named = modelsToRestate(graph, request.restate, facts)
  const selected = restatedSelection(graph, named, { exclude: selection.exclude ?? null }, facts)
  // A repeated build goes on with what was asked for: the state knows how much of that is left.
  const asked = [...named].filter((name) => selected.has(name))
  return { selected, restate: new Set(request.retryOf === undefined ? asked : []) }
}

/** @throws MillraceError USAGE */
function assertRestatement({ restate, select, fullRefresh }: PlanScope): void {
  if (restate === undefined) return
  if (!Array.isArray(restate)) {
    throw new MillraceError('USAGE', `restate: expected a list of models; got ${JSON.stringify(restate)}`)
  }
  const also = select !== undefined ? 'select' : fullRefresh === true ? 'fullRefresh' : null
  if (restate.length > 0 && also === null) return
  throw new MillraceError(
    'USAGE',
    restate.length === 0
      ? 'expected at least one model to restate; got none'
      : `expected a restatement without ${also ?? ''}: it says itself which models are built, and how`,
    { hint: 'name models after `restate`; what reads them is restated, too, unless it is left out with --exclude' },
  )
}

export function toSelection({ select, exclude }: Pick<BuildInput, 'select' | 'exclude'>): Selection {
  return { select: select ?? null, exclude: exclude ?? null }
}

/** @throws MillraceError USAGE for what is no time, and for a range without a moment in it. */
export function toRange({ start, end, executionMs }: PlanScope): PlanContext['range'] {
  const from = start === undefined ? null : parseTime(start, 'start', executionMs)
  const to = end === undefined ? executionMs : parseTime(end, 'end', executionMs)
  if (from !== null && from >= to) {
    throw new MillraceError('USAGE', `expected a start before the end; got ${toIso(from)} and ${toIso(to)}`, {
      hint: 'an end date is inclusive, an end timestamp exclusive; without an end it is the execution time',
    })
  }
  return { start: from, end: to, now: executionMs }
}
