/** A schedule as the server has it, with its runs and how they ended. */
import {
  WorkflowFailedError,
  WorkflowNotFoundError,
  type Client,
  type ScheduleDescription,
  type WorkflowExecutionStatusName,
} from '@temporalio/client'
import { ProjectError } from '../../errors.ts'
import { toIso } from '../../graph/time.ts'
import type { BuildInput } from '../../payloads.ts'
import { isCanceled, toMillraceError } from '../remote-error.ts'
import { calendarText } from './calendar-text.ts'
import { everyText } from './define.ts'
import { whenText } from './changes.ts'
import { nameOf, type ScheduleDefinition, type SchedulePolicies } from './definition.ts'
import { fromTemporal } from './temporal-form.ts'

/** `unknown`: the server has forgotten the workflow. */
export type RunStatus = 'running' | 'succeeded' | 'failed' | 'canceled' | 'terminated' | 'timed out' | 'unknown'

export interface ScheduledRun {
  workflowId: string
  runId: string
  /** When it was due, jitter included. */
  dueAt: string
  startedAt: string
  endedAt: string | null
  status: RunStatus
  /** Why it failed, in one line. */
  error: string | null
}

/** What `schedule describe` prints with `--json`. */
export interface ScheduleReport extends SchedulePolicies {
  name: string
  id: string
  project: string | null
  environment: string
  when: string
  crons: string[]
  every: string[]
  /** It wakes when a model is due. */
  auto: boolean
  timeZone: string
  paused: boolean
  note: string | null
  workflowId: string
  taskQueue: string
  input: BuildInput
  createdAt: string
  updatedAt: string | null
  next: string[]
  /** Ids of workflows. */
  running: string[]
  /** Newest first. */
  recent: ScheduledRun[]
  started: number
  skipped: { overlap: number; missedCatchUp: number; bufferFull: number }
  /** Due, and waiting for the one that runs. */
  buffered: number
}

/** @param recentRuns how many are looked up. */
export async function readSchedule(
  client: Client,
  description: ScheduleDescription,
  { project, recentRuns }: { project: string; recentRuns: number },
): Promise<ScheduleReport> {
  const definition = fromTemporal(description)
  const { info, raw } = description
  const runs = await Promise.all(
    info.recentActions
      .toReversed()
      // Of builds that may overlap the server does not say which run: that is asked of each.
      .slice(0, definition.overlap === 'allow-all' ? undefined : recentRuns)
      .map(({ scheduledAt, takenAt, action: { workflow } }) => readRun(client, { scheduledAt, takenAt, ...workflow })),
  )
  const running = [
    ...info.runningActions.map(({ workflow }) => workflow.workflowId),
    ...runs.filter(({ status }) => status === 'running').map(({ workflowId }) => workflowId),
  ]
  return {
    ...documentOf(definition, project),
    createdAt: info.createdAt.toISOString(),
    updatedAt: info.lastUpdatedAt?.toISOString() ?? null,
    next: info.nextActionTimes.map((time) => time.toISOString()),
    running: [...new Set(running)],
    recent: runs,
    started: info.numActionsTaken,
    skipped: {
      overlap: info.numActionsSkippedOverlap,
      missedCatchUp: info.numActionsMissedCatchupWindow,
      bufferFull: Number(raw.info?.bufferDropped ?? 0),
    },
    buffered: Number(raw.info?.bufferSize ?? 0),
  }
}

function documentOf(definition: ScheduleDefinition, project: string) {
  const { id, calendars, intervals, auto, timeZone, jitterMs, overlap, catchUpMs, pauseOnFailure } = definition
  const { input, note, paused, workflowId, taskQueue } = definition
  return {
    name: nameOf(id, project),
    id,
    project: input.project ?? null,
    environment: input.environment ?? 'prod',
    when: whenText(definition),
    crons: [...new Set(calendars.map(calendarText))],
    every: intervals.map(everyText),
    auto,
    timeZone,
    jitterMs,
    overlap,
    catchUpMs,
    pauseOnFailure,
    paused: paused ?? false,
    note: note === '' ? null : note,
    workflowId,
    taskQueue,
    input,
  }
}

const STATUSES: Partial<Record<WorkflowExecutionStatusName, RunStatus>> = {
  RUNNING: 'running',
  // Its next run goes on.
  CONTINUED_AS_NEW: 'running',
  COMPLETED: 'succeeded',
  FAILED: 'failed',
  CANCELLED: 'canceled',
  TERMINATED: 'terminated',
  TIMED_OUT: 'timed out',
}

interface StartedRun {
  workflowId: string
  firstExecutionRunId: string
  scheduledAt: Date
  takenAt: Date
}

async function readRun(
  client: Client,
  { workflowId, firstExecutionRunId, scheduledAt, takenAt }: StartedRun,
): Promise<ScheduledRun> {
  return {
    workflowId,
    runId: firstExecutionRunId,
    dueAt: scheduledAt.toISOString(),
    startedAt: takenAt.toISOString(),
    ...(await endingOf(client, workflowId, firstExecutionRunId)),
  }
}

async function endingOf(
  client: Client,
  workflowId: string,
  firstRunId: string,
): Promise<Pick<ScheduledRun, 'endedAt' | 'status' | 'error'>> {
  try {
    const handle = client.workflow.getHandle(workflowId)
    // The latest run of the id: that of the chain which the schedule began.
    const { status, closeTime } = await handle.describe()
    const known = STATUSES[status.name] ?? 'unknown'
    return {
      status: known,
      endedAt: closeTime === undefined ? null : toIso(closeTime.getTime()),
      error: known === 'failed' ? await reasonOf(client, workflowId, firstRunId) : null,
    }
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { status: 'unknown', endedAt: null, error: null }
    throw error
  }
}

async function reasonOf(client: Client, workflowId: string, runId: string): Promise<string | null> {
  try {
    await client.workflow.getHandle(workflowId, runId).result()
    return null
  } catch (error) {
    if (!(error instanceof WorkflowFailedError) || isCanceled(error)) return null
    const known = toMillraceError(error)
    const first = known instanceof ProjectError ? known.problems[0] : known
    const more =
      known instanceof ProjectError && known.problems.length > 1 ? ` (and ${known.problems.length - 1} more)` : ''
    return first instanceof Error ? `${first.message.split('\n')[0]}${more}` : null
  }
}
