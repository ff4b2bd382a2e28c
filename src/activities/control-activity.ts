/** The shell of activities that plan, record and look up: they beat while they work, and what they throw is for Temporal to read. */
import { toFailure } from './failures.ts'
import { startHeartbeat, type Heartbeat } from './heartbeat.ts'

/** @param subject of the heartbeats. */
export async function controlActivity<T>(subject: string, work: (heartbeat: Heartbeat) => Promise<T>): Promise<T> {
  using heartbeat = startHeartbeat(subject)
  try {
    return await work(heartbeat)
  } catch (error) {
    // Whatever a cancelled one died of, it died of its cancellation.
    if (heartbeat.signal.aborted) throw heartbeat.signal.reason
    throw toFailure(error)
  }
}
