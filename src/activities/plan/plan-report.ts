/** A plan as `plan --json` prints it. Pure. */
import type { Plan } from '../../graph/plan.ts'
import { toIso } from '../../graph/time.ts'
import type { PlanReport } from '../../payloads.ts'
import type { MadePlan } from './planner.ts'

export function toPlanReport(environment: string, { plan, steps, sources }: MadePlan): PlanReport {
  const batches = new Map<string, number>()
  for (const { model } of steps) batches.set(model, (batches.get(model) ?? 0) + 1)
  const selected = plan.models.filter((model) => model.selected)
  return {
    environment,
    changes: [
      ...selected.flatMap(({ name, category, reason }) =>
        category === null ? [] : [{ model: name, category, reason: reason ?? '' }],
      ),
      ...plan.removed.map((model) => ({
        model,
        category: 'removed' as const,
        reason: 'it is not in the project any more',
      })),
    ],
    backfills: selected
      .filter((model) => model.batches.length > 0 && !model.auditsOnly)
      .map(({ name, intervals, reason }) => ({
        model: name,
        intervals: intervals.map(({ start, end }) => [toIso(start), toIso(end)]),
        batches: batches.get(name) ?? 0,
        reason: reason ?? '',
      })),
    stale: plan.stale,
    unchanged: selected
      .filter(({ category, batches }) => category === null && batches.length === 0)
      .map(({ name }) => name),
    notices: restatementNotices(plan),
    sources,
  }
}

/** What is not built again although what it reads is. */
export function restatementNotices({ models }: Pick<Plan, 'models'>): string[] {
  return models.flatMap(({ name, notRestated }) =>
    notRestated === null ? [] : [`model '${name}' is not restated: ${notRestated}`],
  )
}
