/** The activity by which a build that will not have its turn leaves the queue of its environment. */
import type { LeaveInput } from '../payloads.ts'
import { leaveQueue as leave } from '../state/build-queue.ts'
import { toFailure } from './failures.ts'
import { startHeartbeat } from './heartbeat.ts'
import type { WorkerProjects } from './worker-projects.ts'

export async function leaveQueue(projects: WorkerProjects, input: LeaveInput): Promise<void> {
  using heartbeat = startHeartbeat('leave')
  try {
    const project = await projects.open(input.project, input.gateway)
    await using lease = await project.lease({
      holder: 'leave the queue',
      signal: heartbeat.signal,
      onWaiting: (message) => heartbeat.say(message),
    })
    await lease.script(leave([input.build]))
  } catch (error) {
    if (heartbeat.signal.aborted) throw heartbeat.signal.reason
    throw toFailure(error)
  }
}
