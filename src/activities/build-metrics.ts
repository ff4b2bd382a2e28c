/**
 * What builds, steps and audits do, as metrics of Temporal's meter, which adds namespace, task queue and type of activity. Labels are
 * of few values: never a model, a workflow id or an error's text.
 */
import { Context } from '@temporalio/activity'
import { ApplicationFailure, CancelledFailure, type MetricMeter, type MetricTags } from '@temporalio/common'
import type { AuditResult, BuildPlan, FinishInput, Occupied, PlanRequest, StepInput, StepOutcome } from '../payloads.ts'
import type { FinishedBuild } from './finish-build.ts'
import { isGivenBack } from './lease-or-give-back.ts'

/** Counts a build that was planned, one that found another at work, or what one was refused with. */
export async function measurePlan(
  { environment = DEFAULT_ENVIRONMENT }: PlanRequest,
  work: () => Promise<BuildPlan | Occupied>,
): Promise<BuildPlan | Occupied> {
  const meter = currentMeter()
  try {
    const plan = await work()
    if ('waitsFor' in plan) count(meter, 'builds_occupied', 1, tagsOf(plan))
    else count(meter, 'builds_started', 1, tagsOf(plan))
    return plan
  } catch (error) {
    // What is not final is tried again.
    if (error instanceof ApplicationFailure && error.nonRetryable === true) {
      const code = error.type ?? 'INTERNAL'
      count(meter, 'plan_failures', 1, { environment, code })
    }
    throw error
  }
}

/** Counts the attempt of a step, unless it was given back untried. */
export async function measureStep(input: StepInput, work: () => Promise<StepOutcome>): Promise<StepOutcome> {
  const meter = currentMeter()
  const tags = { ...tagsOf(input), kind: input.step.kind }
  const { currentAttemptScheduledTimestampMs: scheduledMs } = Context.current().info
  const startedMs = Date.now()
  const waitedMs = Math.max(0, startedMs - scheduledMs)
  record(meter, 'step_queue_wait', waitedMs, tagsOf(input))
  const ended = (status: string): void => {
    count(meter, 'steps', 1, { ...tags, status })
    record(meter, 'step_duration', Date.now() - startedMs, {
      ...tags,
      status,
    })
  }
  try {
    const outcome = await work()
    ended('success')
    count(meter, 'step_rows', outcome.rows ?? 0, tags)
    return outcome
  } catch (error) {
    if (!isGivenBack(error)) ended(statusOf(error))
    throw error
  }
}

/** Counts the audits of a step that ran. */
export function measureAudits(input: StepInput, audits: readonly AuditResult[]): void {
  const meter = currentMeter()
  for (const { status } of audits) count(meter, 'audits', 1, { ...tagsOf(input), status })
}

/** Counts a build that ended, and its models. */
export async function measureFinish(
  input: FinishInput,
  work: () => Promise<FinishedBuild | null>,
): Promise<FinishedBuild | null> {
  const meter = currentMeter()
  const finished = await work()
  if (finished === null) return null
  const { status } = input
  const tags = tagsOf(input)
  count(meter, 'builds_ended', 1, { ...tags, status })
  record(meter, 'build_duration', Math.max(0, Date.now() - input.startedMs), {
    ...tags,
    status,
  })
  for (const [status, models] of Object.entries(finished.counts)) {
    count(meter, 'models', models, { ...tags, status })
  }
  if (status === 'succeeded') {
    const gauge = meter.createGauge('millrace_build_last_success', 'int', 's', 'When a build last succeeded, Unix time')
    gauge.set(Math.floor(Date.now() / 1000), tags)
  }
  return finished
}

/** What they are, as Prometheus shows it; each with `millrace_` before its name. */
const METRICS = {
  builds_occupied: 'Times a build found another at work',
  builds_started: 'Builds that were planned',
  plan_failures: 'Builds that were refused when they were planned',
  step_queue_wait: 'Time that steps waited on the task queue for a worker',
  steps: 'Attempts of steps that ended',
  step_duration: 'Time of an attempt, waiting for a connection included',
  step_rows: 'Rows that steps have written',
  audits: 'Audits that ran',
  builds_ended: 'Builds that ended',
  build_duration: 'Time of a build, start to end',
  models: 'Models of builds that ended',
}

type Metric = keyof typeof METRICS

const DEFAULT_ENVIRONMENT = 'prod'

function currentMeter(): MetricMeter {
  return Context.current().metricMeter
}

function tagsOf({ project, environment }: { project: string; environment: string }): MetricTags {
  return { project, environment }
}

/** Interrupted is what ends with its worker, or is paused or reset: it is tried again. */
function statusOf(error: unknown): string {
  if (!(error instanceof CancelledFailure)) return 'error'
  return Context.current().cancellationDetails?.cancelRequested === true ? 'canceled' : 'interrupted'
}

function count(meter: MetricMeter, name: Metric, value: number, tags: MetricTags): void {
  meter.createCounter(`millrace_${name}`, undefined, METRICS[name]).add(value, tags)
}

/** In milliseconds, as Temporal's own. */
function record(meter: MetricMeter, name: Metric, valueMs: number, tags: MetricTags): void {
  meter.createHistogram(`millrace_${name}`, 'float', 'ms', METRICS[name]).record(valueMs, tags)
}
