/** What a build is asked for: refused where no database is needed to refuse it. */
import { MillraceError } from '../../errors.ts'
import { createModelGraph } from '../../graph/model-graph.ts'
import type { PlanContext } from '../../graph/plan-context.ts'
import { selectModels, type Selection } from '../../graph/select.ts'
import { parseTime, toIso } from '../../graph/time.ts'
import type { BuildInput } from '../../payloads.ts'
import type { Project } from '../../project/project.ts'
import { assertBuildable, assertRefreshable } from './plan-checks.ts'

export interface PlanScope extends Pick<BuildInput, 'select' | 'exclude' | 'start' | 'end' | 'fullRefresh'> {
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
  const selected = selectModels(createModelGraph(models), toSelection(request), 'later')
  const chosen = models.filter((model) => selected.has(model.name))
  assertBuildable(project, chosen)
  if (request.fullRefresh === true) assertRefreshable(chosen)
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
