/** The activity by which a build that will not have its turn leaves the queue of its environment. */
import type { LeaveInput } from '../../payloads.ts'
import { leaveQueue as leave } from '../../state/build-queue.ts'
import { controlActivity } from '../control-activity.ts'
import type { WorkerProjects } from '../worker-projects.ts'

export async function leaveQueue(projects: WorkerProjects, input: LeaveInput): Promise<void> {
  return controlActivity('leave', async (heartbeat) => {
    const project = await projects.open(input.project, input.gateway)
    await using lease = await project.lease({
      holder: 'leave the queue',
      signal: heartbeat.signal,
      onWaiting: (message) => heartbeat.say(message),
    })
    await lease.script(leave([input.build]))
  })
}
