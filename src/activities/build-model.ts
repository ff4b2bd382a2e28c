/**
 * The activity that builds one step: in one transaction write, audit, record in the ledger, commit.
 * A step that ran before, here or elsewhere, finds its record and returns it.
 */
import { Context } from '@temporalio/activity'
import { setTimeout as delay } from 'node:timers/promises'
import type { Lease } from '../connections/lease.ts'
import { CommitOutcomeUnknown } from '../connections/commit-outcome-unknown.ts'
import { MillraceError } from '../errors.ts'
import { unitsOf } from '../graph/intervals.ts'
import type { AuditResult, StepInput, StepOutcome } from '../payloads.ts'
import type { ModelDefinition } from '../project/definition.ts'
import { readStep, readStepOf, readUnits, type StepResult } from '../state/ledger.ts'
import { recordFailure, recordWarnings, stepId } from '../state/outcomes.ts'
import { readDefinition } from '../state/versions.ts'
import { AuditFailed } from './audit-failed.ts'
import { runWarningAudits } from './audit-step.ts'
import { isRetryable, StepError, toFailure } from './failures.ts'
import { startHeartbeat, type Heartbeat } from './heartbeat.ts'
import type { WorkerProject, WorkerProjects } from './worker-projects.ts'
import { createStepWork, type StepWork } from './step-work.ts'
import { writeStep } from './write-step.ts'

/** How often a step is tried when conflicts or IO stop it. */
const MAX_ATTEMPTS = 5
const FIRST_PAUSE_MS = 100

export async function buildModel(projects: WorkerProjects, input: StepInput): Promise<StepOutcome> {
  const startedMs = Date.now()
  using heartbeat = startHeartbeat(input.step.model)
  const before = Context.current().info.attempt - 1
  try {
    const project = await projects.open(input.project, input.gateway)
    const { result, audits } = await buildWithRetries({ input, project, heartbeat, before })
    return {
      rows: result.rows,
      rowsFiltered: result.rowsFiltered,
      warnings: audits.filter((audit) => audit.status === 'warn').length,
      durationMs: result.endedMs - result.startedMs,
    }
  } catch (error) {
    // Whatever a cancelled step died of, it died of its cancellation.
    if (heartbeat.signal.aborted) throw heartbeat.signal.reason
    await rememberFailure(projects, input, { error, startedMs, attempts: before + 1 })
    throw toFailure(error)
  }
}

interface StepRun {
  input: StepInput
  project: WorkerProject
  heartbeat: Heartbeat
  /** Attempts of earlier activities, lost with their workers. */
  before: number
}

interface FinishedStep {
  result: StepResult
  /** Those of the transaction and, behind them, those that only warn. */
  audits: AuditResult[]
}

async function buildWithRetries(run: StepRun): Promise<FinishedStep> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await buildOnce(run, attempt)
    } catch (error) {
      if (run.heartbeat.signal.aborted || attempt >= MAX_ATTEMPTS || !isRetryable(error)) throw error
      run.heartbeat.say(`waiting to try again (${attempt} of ${MAX_ATTEMPTS})`)
      const pause = FIRST_PAUSE_MS * 2 ** (attempt - 1) * (0.5 + Math.random())
      await delay(pause, undefined, { signal: run.heartbeat.signal })
    }
  }
}

async function buildOnce(run: StepRun, attempt: number): Promise<FinishedStep> {
  const { input, project, heartbeat } = run
  heartbeat.say('waiting for a connection')
  await using lease = await project.lease({
    holder: input.step.model,
    signal: heartbeat.signal,
    lockTimeoutMs: input.lockTimeoutSeconds * 1000,
    onWaiting: (message) => heartbeat.say(message),
  })
  const definition = await project.definition(input.step.definition, () => readDefinition(lease, input.step.definition))
  const work = createStepWork({ input, lease, project, definition, heartbeat, attempts: run.before + attempt })
  const result = await placed(definition, () => commitStep(work))
  const warnings = await warn(work)
  return { result, audits: [...result.audits, ...warnings] }
}

/** Writes the step, or finds that it is written already. */
async function commitStep(work: StepWork): Promise<StepResult> {
  try {
    return await writeStep(work)
  } catch (error) {
    if (!(error instanceof CommitOutcomeUnknown)) throw error
    // The commit may have happened: only the ledger knows. A duplicate key says that another attempt was first.
    const recorded = (await readStep(work.lease, work.id)) ?? (await readOtherAttempt(work))
    if (recorded !== null) return recorded
    throw error
  }
}

/** The result of whoever recorded every unit of the step's interval; null when some are not recorded. */
async function readOtherAttempt({ lease, step, definition }: StepWork): Promise<StepResult | null> {
  if (step.interval === null) return null
  const range = { start: step.interval[0], end: step.interval[1] }
  const recorded = await readUnits(lease, step.version, range)
  const missing = unitsOf(range, definition.model.interval_unit).length - recorded.length
  return missing > 0 ? null : readStepOf(lease, step.version, range)
}

/** Audits that do not block run after the commit: one that fails or errors must not take the step with it. */
async function warn(work: StepWork): Promise<AuditResult[]> {
  work.say('auditing')
  const audits = await runWarningAudits(work)
  if (audits.length > 0) await recordWarnings(work.lease, work.id, audits)
  return audits
}

/** An error of the database gets the model's file and line. */
async function placed<T>(definition: ModelDefinition, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof MillraceError || error instanceof CommitOutcomeUnknown) throw error
    const { model } = definition
    throw new StepError(error, { model: model.name, file: model.file, line: model.query?.line ?? model.line })
  }
}

interface FailedStep {
  error: unknown
  startedMs: number
  attempts: number
}

/** For the report; a database that is out of reach cannot be told, and the workflow knows of the failure anyway. */
async function rememberFailure(projects: WorkerProjects, input: StepInput, failed: FailedStep): Promise<void> {
  const failure = toFailure(failed.error)
  const audits = failed.error instanceof AuditFailed ? failed.error.audits : []
  try {
    const project = await projects.open(input.project, input.gateway)
    await using lease: Lease = await project.lease({ holder: input.step.model, lockTimeoutMs: 0, timeoutMs: 10_000 })
    await recordFailure(lease, stepId(input.build, input.index), input.build, {
      code: failure.type ?? 'INTERNAL',
      message: failure.message,
      audits,
      attempts: failed.attempts,
      startedMs: failed.startedMs,
      endedMs: Date.now(),
    })
  } catch {
    // The failure itself is thrown by the caller.
  }
}
