/**
 * The activity that builds one step: in one transaction write, audit, record in the ledger, commit.
 * A step that ran before, here or elsewhere, finds its record and returns it.
 */
import { Context } from '@temporalio/activity'
import { setTimeout as delay } from 'node:timers/promises'
import type { Lease } from '../../connections/lease.ts'
import { CommitOutcomeUnknown } from '../../connections/commit-outcome-unknown.ts'
import { MillraceError } from '../../errors.ts'
import type { AuditResult, StepInput, StepOutcome } from '../../payloads.ts'
import { readStep, type StepResult } from '../../state/ledger.ts'
import { recordFailure, recordWarnings, stepId } from '../../state/outcomes.ts'
import { readDefinition } from '../../state/versions.ts'
import { AuditFailed } from './audit-failed.ts'
import { auditOnly, writesNothing } from './audit-only-step.ts'
import { runWarningAudits } from './audit-step.ts'
import { measureAudits } from '../build-metrics.ts'
import { explainColumns } from './column-errors.ts'
import { uncountedAttempts } from './count-attempts.ts'
import { isRetryable, StepError, toFailure } from '../failures.ts'
import { startHeartbeat, type Heartbeat } from '../heartbeat.ts'
import { isGivenBack } from '../lease-or-give-back.ts'
import { enterLakes } from './lake-lanes.ts'
import { keepSaved } from './kept-failures.ts'
import { locateError } from './locate-error.ts'
import { readOtherAttempt } from './other-attempt.ts'
import type { WorkerProject, WorkerProjects } from '../worker-projects.ts'
import { createStepWork, type StepWork } from './step-work.ts'
import { StepBusy } from './step-busy.ts'
import { resultRecord } from './step-statements.ts'
import { writeStep } from './write-step.ts'

/** How often a step is tried when conflicts or IO stop it. */
const DEFAULT_ATTEMPTS = 5
/** Pauses grow until they outlast an attempt that Temporal gave up, which learns of it with its next heartbeat. */
const FIRST_PAUSE_MS = 100
const PAUSE_GROWTH = 4
const BUSY_PAUSE_MS = 200

export async function buildModel(projects: WorkerProjects, input: StepInput): Promise<StepOutcome> {
  const startedMs = Date.now()
  using heartbeat = startHeartbeat(input.step.model)
  const { givenBack, interrupted } = uncountedAttempts()
  // Those that were given back tried nothing; one that was interrupted may have been at its commit.
  const before = Context.current().info.attempt - 1 - givenBack
  const run = { input, heartbeat, attempts: before - interrupted, first: before === 0 }
  try {
    const project = await projects.open(input.project, input.gateway)
    const { result, audits } = await buildWithRetries(run, project)
    measureAudits(input, audits)
    return {
      rows: result.rows,
      rowsFiltered: result.rowsFiltered,
      ...((result.rowsDuplicate ?? 0) > 0 ? { rowsDuplicate: result.rowsDuplicate } : {}),
      warnings: audits.filter((audit) => audit.status === 'warn').length + (result.warnings?.length ?? 0),
      durationMs: result.endedMs - result.startedMs,
    }
  } catch (error) {
    // Whatever a cancelled step died of, it died of its cancellation.
    if (heartbeat.signal.aborted) throw heartbeat.signal.reason
    if (isGivenBack(error)) throw error
    await rememberFailure(projects, input, { error, startedMs, attempts: run.attempts })
    throw toFailure(error, { exhausted: true })
  }
}

interface StepRun {
  input: StepInput
  heartbeat: Heartbeat
  /** How often the step was tried, those of workers that died counted. */
  attempts: number
  /** Nobody has tried before. */
  first: boolean
}

interface FinishedStep {
  result: StepResult
  /** Those of the transaction and, behind them, those that only warn. */
  audits: AuditResult[]
}

async function buildWithRetries(run: StepRun, project: WorkerProject): Promise<FinishedStep> {
  const most = run.input.step.attempts ?? DEFAULT_ATTEMPTS
  for (let attempt = 1; ; attempt++) {
    run.attempts += 1
    try {
      return await buildInTime(run, project)
    } catch (error) {
      run.first = false
      const busy = error instanceof StepBusy
      if (run.heartbeat.signal.aborted || (!busy && (attempt >= most || !isRetryable(error)))) throw error
      run.heartbeat.say(busy ? `waiting: ${error.message}` : `waiting to try again (${attempt} of ${most})`)
      const pause = busy ? BUSY_PAUSE_MS : FIRST_PAUSE_MS * PAUSE_GROWTH ** (attempt - 1)
      if (busy) {
        attempt -= 1
        run.attempts -= 1
      }
      await delay(pause * (0.5 + Math.random()), undefined, { signal: run.heartbeat.signal })
    }
  }
}

/** @throws MillraceError SQL when the attempt takes longer than the step's timeout; its query is interrupted. */
async function buildInTime(run: StepRun, project: WorkerProject): Promise<FinishedStep> {
  const { model, timeoutMs } = run.input.step
  // Without a timeout of its own, the server's limit is enough.
  if (timeoutMs === undefined) return buildOnce(run, project, run.heartbeat.signal)
  const limit = AbortSignal.timeout(timeoutMs)
  try {
    return await buildOnce(run, project, AbortSignal.any([run.heartbeat.signal, limit]))
  } catch (error) {
    if (run.heartbeat.signal.aborted || !limit.aborted) throw error
    throw new MillraceError(
      'SQL',
      `'${model}' took longer than its timeout of ${timeoutMs / 1000} s; nothing was committed`,
      {
        hint: 'raise the timeout of its steps in millrace.yaml, or make its batches smaller',
      },
    )
  }
}

async function buildOnce(run: StepRun, project: WorkerProject, signal: AbortSignal): Promise<FinishedStep> {
  const { input, heartbeat } = run
  heartbeat.say('waiting for a connection')
  await using lease = await project.lease({
    holder: input.step.model,
    ...inCatalog(input),
    signal,
    lockTimeoutMs: input.lockTimeoutSeconds * 1000,
    onWaiting: (message) => heartbeat.say(message),
  })
  using _ = heartbeat.watch(() => lease.progress())
  const definition = await project.definition(input.step.definition, () => readDefinition(lease, input.step.definition))
  const work = createStepWork({
    input,
    lease,
    project,
    definition,
    heartbeat,
    signal,
    attempts: run.attempts,
    first: run.first,
  })
  const { reads = [] } = definition.catalogs ?? {}
  const leaveLakes = await enterLakes(project.connection, { reads, own: input.step.catalog ?? null, signal })
  try {
    const result = await placed(work, () => commitStep(work))
    const warnings = await warn(work)
    return { result, audits: [...result.audits, ...warnings] }
  } finally {
    leaveLakes()
  }
}

/** Writes the step, or finds that it is written already. */
async function commitStep(work: StepWork): Promise<StepResult> {
  try {
    return writesNothing(work) ? await auditOnly(work) : await writeStep(work)
  } catch (error) {
    const rows = error instanceof AuditFailed ? error.failure.rows : null
    // Its rows have left the transaction, which is rolled back by now.
    if (error instanceof AuditFailed && rows !== null && 'file' in rows)
      throw error.keptRows(await keepSaved(work, rows))
    const unknown = error instanceof CommitOutcomeUnknown
    const second = unknown ? error.isDuplicateKey : error instanceof StepBusy && error.committed
    // The commit may have happened: only the ledger knows.
    const recorded = unknown || second ? await readStep(work.lease, work.id) : null
    if (recorded !== null) return recorded
    const other = second ? await readOtherAttempt(work.lease, work) : null
    if (other === null) throw error
    // It was of another build: this one's report needs it too.
    await work.lease.run(resultRecord(work, other))
    return other
  }
}

/** Audits that do not block run after the commit: one that fails or errors must not take the step with it. */
async function warn(work: StepWork): Promise<AuditResult[]> {
  try {
    work.say('auditing')
    const audits = await runWarningAudits(work)
    if (audits.length > 0) await recordWarnings(work.lease, work.id, audits)
    return audits
  } catch {
    // Cancelled, or the database is gone: the step is committed all the same.
    return []
  }
}

/** An error of the database gets the model's file and line; one about its columns says what is wrong with them. */
async function placed<T>(step: StepWork, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof MillraceError || error instanceof StepBusy) throw error
    const { model } = step.definition
    const explained = step.signal.aborted ? null : await explainColumns(step, error)
    if (explained !== null) throw explained
    throw new StepError(error, { model: model.name, file: model.file, line: locateError(error, model) })
  }
}

/** A transaction writes to one database: that of the model, where the step is recorded, too. */
function inCatalog({ step: { catalog } }: StepInput): { catalog?: string } {
  return catalog === undefined ? {} : { catalog }
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
  measureAudits(input, audits)
  try {
    const project = await projects.open(input.project, input.gateway)
    const options = { holder: input.step.model, ...inCatalog(input), lockTimeoutMs: 0, timeoutMs: 10_000 }
    await using lease: Lease = await project.lease(options)
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
