/** Plan + what is recorded of its steps → a report of each model. Pure. */
import { unpackNumbers } from '../../graph/packed-numbers.ts'
import { toIso } from '../../graph/time.ts'
import {
  emptyCounts,
  MAX_PROBLEMS,
  SKIPPED_BY_HAND,
  skippedBecause,
  type AuditResult,
  type BuildCounts,
  type BuildEnding,
  type ModelProblem,
  type ModelReport,
  type ModelStatus,
} from '../../payloads.ts'
import type { BuildModel } from '../../state/builds.ts'
import type { StepResult } from '../../state/ledger.ts'
import type { StepFailure, StepOutcomes } from '../../state/outcomes.ts'
import type { MadePlan } from '../plan/planner.ts'

/** The selected models of a plan, in its order. */
export function toBuildModels({ plan, steps, definitions }: MadePlan): BuildModel[] {
  const indices = new Map<string, number[]>()
  steps.forEach((step, index) => indices.set(step.model, [...(indices.get(step.model) ?? []), index]))
  return plan.models
    .filter(({ selected }) => selected)
    .map(({ name, kind, reason, category, intervals }) => {
      const catalog = definitions.get(name)?.definition.model.relation.catalog ?? null
      return {
        name,
        kind,
        ...(catalog === null ? {} : { catalog }),
        reason,
        steps: indices.get(name) ?? [],
        intervals: intervals.map(({ start, end }) => [toIso(start), toIso(end)]),
        promotedOnly: category !== null,
      }
    })
}

/** @param ending null while the build runs. */
export function toModelReports(
  models: readonly BuildModel[],
  outcomes: StepOutcomes,
  ending: BuildEnding | null,
): ModelReport[] {
  const modelOf = new Map(models.flatMap((model) => model.steps.map((step) => [step, model.name] as const)))
  const ended = ending === null ? null : unpackEnding(ending)
  return models.map((model) => toReport(model, outcomes, { ended, modelOf }))
}

export function countStatuses(reports: readonly ModelReport[]): BuildCounts {
  const counts = emptyCounts()
  for (const { status } of reports) counts[status === 'running' ? 'pending' : status] += 1
  return counts
}

export function toProblems(reports: readonly ModelReport[]): ModelProblem[] {
  const rank: Partial<Record<ModelReport['status'], number>> = { error: 0, warn: 1, canceled: 2, skipped: 3 }
  return reports
    .filter(({ status }) => rank[status] !== undefined)
    .sort((a, b) => (rank[a.status] ?? 0) - (rank[b.status] ?? 0))
    .slice(0, MAX_PROBLEMS)
    .map(({ name, status, reason, error }) => ({
      name,
      status: status === 'running' ? 'pending' : status,
      reason,
      error,
    }))
}

/** How steps ended that did not succeed, by index. */
interface EndedSteps {
  failed: ReadonlySet<number>
  canceled: ReadonlySet<number>
  /** Skipped step → the step because of which. */
  skipped: ReadonlyMap<number, number>
}

function unpackEnding({ failed, skipped, causes, canceled }: BuildEnding): EndedSteps {
  const because = unpackNumbers(causes)
  return {
    failed: new Set(unpackNumbers(failed)),
    canceled: new Set(unpackNumbers(canceled)),
    skipped: new Map(unpackNumbers(skipped).map((step, at) => [step, because[at] ?? step])),
  }
}

interface ReportContext {
  ended: EndedSteps | null
  /** Which model a step belongs to. */
  modelOf: ReadonlyMap<number, string>
}

function toReport(
  model: BuildModel,
  { results, failures }: StepOutcomes,
  { ended, modelOf }: ReportContext,
): ModelReport {
  const done = model.steps.flatMap((step) => results.get(step) ?? [])
  const failed = model.steps.flatMap((step) => (results.has(step) ? [] : (failures.get(step) ?? [])))
  const status = statusOf(model, done, ended)
  const times = [...done, ...failed]
  const started = times.length === 0 ? null : Math.min(...times.map(({ startedMs }) => startedMs))
  const last = times.length === 0 ? null : Math.max(...times.map(({ endedMs }) => endedMs))
  const counted = done.filter(({ rows }) => rows !== null)
  const failure = status === 'error' ? failed[0] : undefined
  return {
    name: model.name,
    kind: model.kind,
    status,
    reason: status === 'skipped' ? skipReason(model, ended, modelOf) : model.reason,
    intervals: model.intervals,
    rows: counted.length === 0 ? null : counted.reduce((sum, { rows }) => sum + (rows ?? 0), 0),
    rowsFiltered: done.reduce((sum, { rowsFiltered }) => sum + rowsFiltered, 0),
    rowsDuplicate: done.reduce((sum, { rowsDuplicate = 0 }) => sum + rowsDuplicate, 0),
    attempts: Math.max(0, ...times.map(({ attempts }) => attempts)),
    startedAt: started === null ? null : toIso(started),
    endedAt: last === null ? null : toIso(last),
    durationMs: started === null || last === null ? null : last - started,
    audits: mergeAudits(done, failed),
    warnings: done.flatMap(({ warnings = [] }) => warnings),
    error:
      failure === undefined
        ? status === 'error'
          ? unknownError
          : null
        : { code: failure.code, message: failure.message },
  }
}

const unknownError = {
  code: 'INTERNAL',
  message: 'the step failed, and its error could not be recorded; see the workflow’s history',
}

function statusOf(model: BuildModel, done: readonly StepResult[], ended: EndedSteps | null): ModelStatus {
  if (model.steps.length === 0) return model.promotedOnly ? 'success' : 'unchanged'
  if (done.length === model.steps.length) {
    return done.some(warns) ? 'warn' : 'success'
  }
  if (ended === null) return 'pending'
  if (model.steps.some((step) => ended.failed.has(step))) return 'error'
  if (model.steps.some((step) => ended.canceled.has(step))) return 'canceled'
  return model.steps.some((step) => ended.skipped.has(step)) ? 'skipped' : 'canceled'
}

function warns({ audits, warnings = [] }: StepResult): boolean {
  return warnings.length > 0 || audits.some(({ status }) => status === 'warn')
}

function skipReason(model: BuildModel, ended: EndedSteps | null, modelOf: ReadonlyMap<number, string>): string | null {
  const step = model.steps.find((step) => ended?.skipped.has(step) === true)
  const cause = step === undefined ? undefined : ended?.skipped.get(step)
  if (cause === undefined) return model.reason
  const name = modelOf.get(cause)
  if (name === model.name) return SKIPPED_BY_HAND
  if (name === undefined) return model.reason
  return ended?.failed.has(cause) === true ? skippedBecause(name, 'failed') : skippedBecause(name, 'was skipped')
}

/** One entry per audit: its worst status, its failures of all batches together. */
function mergeAudits(done: readonly StepResult[], failed: readonly StepFailure[]): AuditResult[] {
  const merged: AuditResult[] = []
  const worse = { pass: 0, warn: 1, fail: 2 }
  for (const { audits } of [...done, ...failed]) {
    // The same audit may be called twice by one model: the nth call of a name is matched with the nth of another batch.
    const seen = new Map<string, number>()
    for (const audit of audits) {
      const nth = seen.get(audit.name) ?? 0
      seen.set(audit.name, nth + 1)
      const same = merged.filter(({ name }) => name === audit.name)[nth]
      if (same === undefined) merged.push({ ...audit })
      else {
        same.failures += audit.failures
        if (worse[audit.status] > worse[same.status]) same.status = audit.status
        if (audit.message !== undefined) same.message ??= audit.message
      }
    }
  }
  return merged
}
