/** How many tasks a worker asks for at once. */
import type { WorkerOptions } from '@temporalio/worker'
import type { ActivitySlots } from '../activities/activity-slots.ts'

export const ACTIVITY_SLOTS = 64
/** As Temporal's own. */
const MOST_POLLERS = 10

/**
 * As Temporal would make them of the worker's options, but that a worker that stands by asks for less. A tuner of the user's stays
 * as it is.
 */
export function withSlots(options: WorkerOptions, slots: ActivitySlots, types: readonly string[]): WorkerOptions {
  const {
    maxConcurrentActivityTaskExecutions: activities = ACTIVITY_SLOTS,
    maxConcurrentWorkflowTaskExecutions: workflowTasks = 40,
    maxConcurrentLocalActivityExecutions: localActivities = 100,
    maxConcurrentNexusTaskExecutions: nexusTasks = 100,
    ...others
  } = options
  if (options.tuner !== undefined) return options
  const pollers = (most: number) => ({ type: 'simple-maximum', maximum: Math.min(MOST_POLLERS, most) }) as const
  return {
    activityTaskPollerBehavior: pollers(activities),
    workflowTaskPollerBehavior: pollers(workflowTasks),
    nexusTaskPollerBehavior: pollers(nexusTasks),
    ...others,
    tuner: {
      activityTaskSlotSupplier: slots.supplier(activities, types),
      workflowTaskSlotSupplier: { type: 'fixed-size', numSlots: workflowTasks },
      localActivityTaskSlotSupplier: { type: 'fixed-size', numSlots: localActivities },
      nexusTaskSlotSupplier: { type: 'fixed-size', numSlots: nexusTasks },
    },
  }
}
