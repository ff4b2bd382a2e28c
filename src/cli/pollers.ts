/** Who serves a task queue. */
import type { Client } from '@temporalio/client'
import proto from '@temporalio/proto'
import { hostname } from 'node:os'
import { isAlive } from './process-identity.ts'

export interface Queue {
  namespace: string
  taskQueue: string
}

/** A worker asks for work at least once a minute; the server remembers it for five. */
const SILENT_MS = 90_000
const WORKFLOW_QUEUE = proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
/** What our workers call themselves; those that stay name their queue too, and its projects where the queue does not. */
const OURS = /^millrace@(.+?):(\d+)(?::(.+?))?(?: \[.*\])?$/

/** A worker that stays, not the one of a command that ends with its build. */
export function workerIdentity(taskQueue: string, projects: readonly string[]): string {
  const names = projects.length === 1 && taskQueue === `millrace-${projects[0]}` ? '' : ` [${projects.join(', ')}]`
  return `${commandIdentity()}:${taskQueue}${names}`
}

export function commandIdentity(): string {
  return `millrace@${hostname()}:${process.pid}`
}

/** The identities of the workers that ask for work there. Of those of this machine it is known whether they still live. */
export async function readPollers(client: Client, { namespace, taskQueue }: Queue): Promise<string[]> {
  const answer = await client.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: WORKFLOW_QUEUE,
  })
  return (answer.pollers ?? []).flatMap(({ identity, lastAccessTime }) => {
    const { pid } = workerHere(identity ?? '')
    const live =
      pid === null
        ? Date.now() - Number(lastAccessTime?.seconds ?? 0) * 1000 < SILENT_MS
        : isAlive({ host: hostname(), pid, started: '' })
    return live ? [identity ?? ''] : []
  })
}

/** Whether a `worker.ts` of this machine serves the queue: a second worker would only fight with it for the database's file. */
export async function isServedHere(client: Client, queue: Queue): Promise<boolean> {
  const pollers = await readPollers(client, queue)
  return pollers.some((identity) => workerHere(identity).taskQueue === queue.taskQueue)
}

/** Nulls for a worker of another machine, or none of ours; the queue is that of a worker that stays. */
function workerHere(identity: string): { pid: number | null; taskQueue: string | null } {
  const [, host, pid, taskQueue = null] = OURS.exec(identity) ?? []
  return host === hostname() ? { pid: Number(pid), taskQueue } : { pid: null, taskQueue: null }
}
