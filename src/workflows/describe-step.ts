/** What a step is called in the Web UI, in histories, and on the command line of a person who looks for it. */
import type { BuildStep } from '../payloads.ts'

/** Unique among pending activities, and what a person types to find or pause it. */
export function activityIdOf(steps: readonly BuildStep[], index: number): string {
  const step = steps[index]
  const batched = steps[index - 1]?.model === step?.model || steps[index + 1]?.model === step?.model
  return batched && step?.interval != null ? `${step.model}@${day(step.interval[0])}` : (step?.model ?? String(index))
}

export function summaryOf({ model, kind, interval }: BuildStep): string {
  const name = kind.toLowerCase()
  if (interval === null || name !== 'incremental_by_time_range') return `${model} · ${name}`
  return `${model} · ${span(...interval)}`
}

const DAY_MS = 86_400_000

/** As a person says it: days by the first and the last one, anything finer by its half-open bounds. */
function span(start: number, end: number): string {
  if (start % DAY_MS !== 0 || end % DAY_MS !== 0) return `${minute(start)} – ${minute(end)}`
  const last = end - DAY_MS
  return last <= start ? day(start) : `${day(start)} – ${day(last)}`
}

/** Midnight is written as a date. */
function day(ms: number): string {
  return minute(ms).replace('T00:00Z', '')
}

function minute(ms: number): string {
  return new Date(ms).toISOString().replace(':00.000Z', 'Z')
}
