/** The activity's life signs: heartbeats while it works, and its cancellation as a signal. */
import { Context } from '@temporalio/activity'

/**
 * How often a running activity reports. A cancel request comes back with the answer to a heartbeat,
 * so this bounds how long a query outlives its cancellation.
 */
export const HEARTBEAT_MS = 2_000

export interface Heartbeat extends Disposable {
  readonly signal: AbortSignal
  /** Says what goes on; sent with the next beat, and shown in the Web UI. */
  say(phase: string): void
}

export function startHeartbeat(subject: string): Heartbeat {
  const context = Context.current()
  const started = Date.now()
  let phase = 'starting'
  const beat = (): void => context.heartbeat({ model: subject, phase, elapsedMs: Date.now() - started })
  const timer = setInterval(beat, HEARTBEAT_MS)
  return {
    signal: context.cancellationSignal,
    say(text) {
      phase = text
    },
    [Symbol.dispose]() {
      clearInterval(timer)
    },
  }
}
