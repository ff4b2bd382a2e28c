/** The limit on leases of one database at a time. */
import type { ConnectionConfig } from '../config.ts'
import { createFairQueue, type FairQueue } from './fair-queue.ts'

/** @param description the database, for messages. */
export function createLeaseQueue({ pool, concurrentTasks }: ConnectionConfig, description: string): FairQueue {
  if (pool?.strategy !== 'single') return createFairQueue(concurrentTasks, description)
  return createFairQueue(1, description, 'The pool of the connection gives one lease at a time (strategy: single).')
}
