/** The activity that waits for another build's end. It does nothing else, so that losing one of its attempts costs nothing. */
import { Context } from '@temporalio/activity'
import type { Client, WorkflowFailedError } from '@temporalio/client'
import { ActivityFailure, ApplicationFailure, CancelledFailure } from '@temporalio/common'
import type { AwaitInput, BuildId, BuildSummary, EndedBuild } from '../../payloads.ts'
import { startHeartbeat } from '../heartbeat.ts'
import { isNotFound } from './live-builds.ts'

/** Attempts of one process that wait at a time; those beyond look, and come back: builds must not wait for a place to run in. */
const MOST_WAITING = 8
/** How long an attempt may wait: a worker with few places for activities needs this one's for the build that is waited for. */
const WAIT_MS = 30_000
/** A request to the server cannot be given up: none outlives its attempt for longer. */
const REQUEST_MS = 5_000
const SOON_MS = 100
const COME_BACK_MS = 2_000

let waiting = 0

export async function awaitBuild({ build, withSummary }: AwaitInput): Promise<EndedBuild> {
  using heartbeat = startHeartbeat('wait')
  heartbeat.say(`waiting for '${build.workflowId}'`)
  const { client } = Context.current()
  const crowded = waiting >= MOST_WAITING
  waiting += 1
  try {
    const ended = await Promise.race([endOf(client, build, crowded ? SOON_MS : WAIT_MS), rejected(heartbeat.signal)])
    if (ended === null) throw stillWaits(build, crowded)
    return withSummary ? ended : { ...ended, summary: null }
  } finally {
    waiting -= 1
  }
}

/** The server answers when the build ends, however often it has continued as a new run. @returns null when it has not within the time. */
async function endOf(client: Client, { workflowId, runId }: BuildId, withinMs: number): Promise<EndedBuild | null> {
  const untilMs = Date.now() + withinMs
  const handle = client.workflow.getHandle<() => Promise<BuildSummary>>(workflowId, runId)
  const { cancellationSignal } = Context.current()
  for (let leftMs = withinMs; leftMs > 0 && !cancellationSignal.aborted; leftMs = untilMs - Date.now()) {
    const deadline = Date.now() + Math.min(leftMs, REQUEST_MS)
    try {
      const summary = await client.withDeadline(deadline, () => handle.result())
      return { status: 'succeeded', summary, error: null }
    } catch (error) {
      if (!isDeadline(error)) return toEnded(error)
    }
  }
  return null
}

/** @throws what tells nothing of the build. */
function toEnded(error: unknown): EndedBuild {
  if (isNotFound(error)) return { status: 'gone', summary: null, error: null }
  if (!isFailed(error)) throw error
  if (error.cause instanceof CancelledFailure) return { status: 'canceled', summary: null, error: null }
  const cause = error.cause instanceof ActivityFailure ? error.cause.cause : error.cause
  if (!(cause instanceof ApplicationFailure)) return { status: 'gone', summary: null, error: null }
  const code = cause.type ?? 'INTERNAL'
  const summary = code === 'BUILD_FAILED' ? ((cause.details?.[0] as BuildSummary | undefined) ?? null) : null
  return { status: 'failed', summary, error: { code, message: cause.message } }
}

function isFailed(error: unknown): error is WorkflowFailedError {
  return error instanceof Error && error.name === 'WorkflowFailedError'
}

/** DEADLINE_EXCEEDED of gRPC; the client wraps it. */
const DEADLINE_EXCEEDED = 4

function isDeadline(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return ('code' in error && error.code === DEADLINE_EXCEEDED) || isDeadline(error.cause)
}

function rejected(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

/** Another attempt goes on waiting; attempts leave nothing in the history. */
function stillWaits({ workflowId }: BuildId, crowded: boolean): ApplicationFailure {
  const failure = ApplicationFailure.create({
    message: `still waits for '${workflowId}'`,
    type: 'BUILD_RUNNING',
    nextRetryDelay: crowded ? COME_BACK_MS : SOON_MS,
    category: 'BENIGN',
  })
  failure.stack = ''
  return failure
}
