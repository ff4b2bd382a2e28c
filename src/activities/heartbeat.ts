/** The activity's life signs: heartbeats while it works, and its cancellation as a signal. */
import { Context } from '@temporalio/activity'
import type { AuthContext } from '../connections/credentials/auth-context.ts'

/**
 * How often a running activity reports. A cancel request comes back with the answer to a heartbeat,
 * so this bounds how long a query outlives its cancellation.
 */
export const HEARTBEAT_MS = 2_000

export interface Heartbeat extends Disposable {
  readonly signal: AbortSignal
  /** Says what goes on; sent with the next beat, and shown in the Web UI. */
  say(phase: string): void
  /** For leases: whose work it is, as the sources of credentials see it. */
  readonly auth: AuthContext
}

export function startHeartbeat(subject: string): Heartbeat {
  const context = Context.current()
  const started = Date.now()
  let phase = 'starting'
  const beat = (): void => context.heartbeat({ model: subject, phase, elapsedMs: Date.now() - started })
  const timer = setInterval(beat, HEARTBEAT_MS)
  const { workflowExecution, activityId, attempt, namespace } = context.info
  return {
    signal: context.cancellationSignal,
    say(text) {
      phase = text
    },
    auth: { ...workflowExecution, activityId, attempt, namespace },
    [Symbol.dispose]() {
      clearInterval(timer)
    },
  }
}
