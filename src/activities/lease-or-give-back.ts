/**
 * A lease of a file that another worker of the same task queue may hold: the activity is given back then, so that it comes
 * to the holder, and this worker stands by. When the holder has ended, whoever gets the activity next takes the file over.
 */
import { Context } from '@temporalio/activity'
import { ApplicationFailure } from '@temporalio/common'
import { hostname } from 'node:os'
import type { LockHolder } from '../connections/file-locks.ts'
import type { Lease } from '../connections/lease.ts'
import type { LeaseOptions } from '../connections/registry.ts'
import { MillraceError } from '../errors.ts'
import { toFailure } from './failures.ts'

export interface StandByOptions {
  /** An activity was given back to this process. */
  onGivenBack: (pid: number) => void
  /** The database could be had. */
  onLeased: () => void
}

/** Leases of one database. `@throws` ApplicationFailure that is to be thrown on as it is; else what `lease` throws. */
export type LeaseOrGiveBack = (
  lease: (options: LeaseOptions) => Promise<Lease>,
  options: LeaseOptions,
) => Promise<Lease>

/**
 * Where nobody on the activity's queue is known to hold the file it is waited for as long as asked for. A worker of this machine
 * that asks the queue for work is known by the process id in its identity.
 */
export function createLeaseOrGiveBack({ onGivenBack, onLeased }: StandByOptions): LeaseOrGiveBack {
  /** Who was told of, so that it is told once. */
  let announced: number | null = null

  return async (lease, options) => {
    // Whoever tries just once can do without.
    if (options.lockTimeoutMs === 0) return lease(options)
    const servesQueue = askQueue()
    let server: number | null = null
    try {
      const leased = await lease({
        ...options,
        mayWaitFor: async (holder) => {
          server = (await servesQueue(holder)) ? holder.pid : null
          return server === null
        },
      })
      onLeased()
      if (announced !== null) log(`takes the database over from process ${announced}: ${leased.database.catalog}`)
      announced = null
      return leased
    } catch (error) {
      if (server === null || !(error instanceof MillraceError) || error.code !== 'DATABASE_LOCKED') throw error
      onGivenBack(server)
      if (announced !== server) log(`stands by: ${error.message}, which serves this task queue too`)
      announced = server
      throw givenBack(error)
    }
  }
}

/** The attempt did nothing, and is no attempt to people. */
export function isGivenBack(error: unknown): boolean {
  return typeof error === 'object' && error !== null && GIVEN_BACK.has(error)
}

const GIVEN_BACK = new WeakSet<object>()

/** The holder gets it next, whatever else it has to do: this worker does not ask for a while. */
const RETURN_DELAY_MS = 100

/** A worker asks for work at least once a minute; the server remembers it for five. */
const SILENT_MS = 90_000
/** A holder that is waited for may come to serve the queue. */
const ASK_AGAIN_MS = 5_000

/** TASK_QUEUE_TYPE_ACTIVITY of Temporal's API. */
const ACTIVITY_QUEUE = 2

/** @returns a function that asks the server when the holder is another one, or some time has passed. */
function askQueue(): (holder: LockHolder) => Promise<boolean> {
  let known: { pid: number; atMs: number; serves: boolean } | null = null
  return async ({ pid }) => {
    if (pid === null || pid === process.pid) return false
    const nowMs = performance.now()
    if (known === null || known.pid !== pid || nowMs - known.atMs >= ASK_AGAIN_MS) {
      known = { pid, atMs: nowMs, serves: await servesQueue(pid) }
    }
    return known.serves
  }
}

/** Where nobody can be asked, the file is waited for. */
async function servesQueue(pid: number): Promise<boolean> {
  try {
    // A command that plans by itself is in no activity.
    const { client, info } = Context.current()
    const { pollers } = await client.workflowService.describeTaskQueue({
      namespace: info.namespace,
      taskQueue: { name: info.taskQueue },
      // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- the enum itself is in a package that is not for activities
      taskQueueType: ACTIVITY_QUEUE,
    })
    return (pollers ?? []).some(({ identity, lastAccessTime }) => {
      // One that hangs and holds the file is none: somebody must be told.
      return isProcess(identity ?? '', pid) && Date.now() - Number(lastAccessTime?.seconds ?? 0) * 1000 < SILENT_MS
    })
  } catch {
    return false
  }
}

/** `4711@host`, as workers call themselves, `millrace@host:4711`, or whatever else names both. */
function isProcess(identity: string, pid: number): boolean {
  return identity.includes(hostname()) && identity.split(/\D+/).includes(String(pid))
}

/** In the worker's log. */
function log(message: string): void {
  Context.current().log.info(`This worker ${message}`)
}

function givenBack(locked: MillraceError): ApplicationFailure {
  const { details, type } = toFailure(locked)
  const failure = ApplicationFailure.create({
    message: `${locked.message}, which serves this task queue: given back, so that it runs there`,
    type: type ?? locked.code,
    details: details ?? [],
    nextRetryDelay: RETURN_DELAY_MS,
    category: 'BENIGN',
  })
  failure.stack = ''
  GIVEN_BACK.add(failure)
  return failure
}
