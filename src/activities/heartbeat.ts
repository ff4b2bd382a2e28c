/** The activity's life signs: heartbeats while it works, and its cancellation as a signal. */
import { Context } from '@temporalio/activity'
import type { AuthContext } from '../connections/credentials/auth-context.ts'
import type { StatementProgress } from '../connections/channel.ts'
import { authValues } from './auth-values.ts'
import { uncountedAttempts } from './step/count-attempts.ts'

/**
 * How often a running activity reports. A cancel request comes back with the answer to a heartbeat,
 * so this bounds how long a query outlives its cancellation.
 */
export const HEARTBEAT_MS = 2_000

/** What a person sees of a running activity, in the Web UI and in the live view. */
export interface HeartbeatDetails {
  /** Or `plan`, `finish`. */
  model: string
  phase: string
  elapsedMs: number
  /** Of the part of the query that runs now, by the database's own estimate; null when none runs, or nobody can tell. */
  rows: number | null
  /** Of the running query, 0 to 100. */
  percent: number | null
  /** How often the activity was given back to the worker that holds the database. */
  givenBack?: number
  /** How often a worker that shut down has rolled it back. */
  interrupted?: number
}

export interface Heartbeat extends Disposable {
  readonly signal: AbortSignal
  /** Says what goes on; sent with the next beat, and shown in the Web UI. */
  say(phase: string): void
  /** Asks with every beat how far the running statement is, until the result is disposed. */
  watch(progress: () => StatementProgress | null): Disposable
}

export function startHeartbeat(subject: string): Heartbeat {
  const context = Context.current()
  const started = Date.now()
  let phase = 'starting'
  let watched: (() => StatementProgress | null) | null = null
  // The next attempt knows it only from this one.
  const { givenBack, interrupted } = uncountedAttempts()
  const beat = (): void => {
    const progress = watched?.() ?? null
    context.heartbeat({
      model: subject,
      phase,
      elapsedMs: Date.now() - started,
      rows: progress?.rows ?? null,
      percent: progress?.percent ?? null,
      ...(givenBack === 0 ? {} : { givenBack }),
      ...(interrupted === 0 ? {} : { interrupted }),
    } satisfies HeartbeatDetails)
  }
  const timer = setInterval(beat, HEARTBEAT_MS)
  return {
    signal: context.cancellationSignal,
    say(text) {
      phase = text
    },
    watch(progress) {
      watched = progress
      return {
        [Symbol.dispose]() {
          watched = null
        },
      }
    },
    [Symbol.dispose]() {
      clearInterval(timer)
    },
  }
}

/** The running activity, as the sources of credentials see it; nobody outside of one. */
export function activityAuth(): AuthContext {
  const context = currentContext()
  if (context === null) return {}
  const { workflowExecution, activityId, attempt, namespace } = context.info
  const values = authValues()
  return { ...workflowExecution, activityId, attempt, namespace, ...(values === undefined ? {} : { values }) }
}

function currentContext(): Context | null {
  try {
    return Context.current()
  } catch {
    return null
  }
}
