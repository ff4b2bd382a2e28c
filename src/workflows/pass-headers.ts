/**
 * A workflow interceptor: what a workflow was started with as headers goes on to its activities, to its child workflows and to the
 * run that continues it. Temporal passes no header on by itself. Names that begin with `_` are others' (tracing), which pass on their own.
 */
import type { Headers } from '@temporalio/common'
import type { WorkflowInterceptorsFactory } from '@temporalio/workflow'

export const interceptors: WorkflowInterceptorsFactory = () => {
  let passed: Headers = {}
  // What somebody else has set is theirs to decide.
  const withPassed = <T extends { headers: Headers }>(input: T): T => ({
    ...input,
    headers: { ...passed, ...input.headers },
  })
  return {
    inbound: [
      {
        execute: async (input, next) => {
          passed = Object.fromEntries(Object.entries(input.headers).filter(([name]) => !name.startsWith('_')))
          return next(input)
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: async (input, next) => next(withPassed(input)),
        startChildWorkflowExecution: async (input, next) => next(withPassed(input)),
        continueAsNew: async (input, next) => next(withPassed(input)),
      },
    ],
  }
}
