/**
 * Log lines of our activities say whose they are: project, environment, model and build, beside what Temporal puts there. Only the
 * line `Activity started` comes before the arguments are known, and has the build alone.
 */
import type { Context } from '@temporalio/activity'
import type { ActivityInterceptorsFactory } from '@temporalio/worker'
import { ACTIVITY_NAMES } from './late-activities.ts'

export const withLogAttributes: ActivityInterceptorsFactory = (context) => {
  const { activityType, workflowExecution } = context.info
  if (!ACTIVITY_NAMES.includes(activityType)) return {}
  const build = workflowExecution === undefined ? {} : { build: workflowExecution.workflowId }
  let subject: Record<string, unknown> = {}
  return {
    inbound: {
      execute: async (input, next) => {
        subject = subjectOf(input.args[0])
        const result = await next(input)
        logEnd(context, result)
        return result
      },
    },
    outbound: { getLogAttributes: (attributes, next) => next({ ...attributes, ...build, ...subject }) },
  }
}

/** What the argument of an activity says of it. */
function subjectOf(argument: unknown): Record<string, unknown> {
  if (!isRecord(argument)) return {}
  const { project, environment, step } = argument
  // What is undefined is left out of the line.
  return { project, environment, model: isRecord(step) ? step['model'] : undefined }
}

/** One line for each step and each end of a build; what fails, Temporal logs. */
function logEnd({ info, log }: Context, result: unknown): void {
  if (!isRecord(result)) return
  const { rows, durationMs, warnings, counts, promoted } = result
  if (info.activityType === 'buildModel') log.info('Step built', { rows, warnings, durationMs })
  if (info.activityType === 'finishBuild') log.info('Build ended', { counts, promoted })
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
