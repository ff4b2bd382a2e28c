/** How people steer a running build: updates, for `client.ts`, the Temporal CLI and the Web UI alike. Each answers with what it did. */
import { defineUpdate, setHandler } from '@temporalio/workflow'
import type { Steering } from './steering.ts'

export const pauseUpdate = defineUpdate<string>('pause')
export const resumeUpdate = defineUpdate<string>('resume')
export const setParallelUpdate = defineUpdate<string, [number]>('setParallel')
export const setFailFastUpdate = defineUpdate<string, [boolean]>('setFailFast')
export const skipModelUpdate = defineUpdate<string, [string]>('skipModel')
export const retryModelUpdate = defineUpdate<string, [string?]>('retryModel')

/** Before anything is awaited: an update may come with the workflow's first task. */
export function handleControls(steering: Steering): void {
  setHandler(pauseUpdate, () => steering.pause(), {
    description: 'Start nothing more; what runs goes on to its end',
    validator: () => steering.assertOpen(),
  })
  setHandler(resumeUpdate, () => steering.resume(), {
    description: 'Go on after a pause',
    validator: () => steering.assertOpen(),
  })
  setHandler(setParallelUpdate, (steps) => steering.setParallel(steps), {
    description: 'Steps in flight at most, from 1 to 500; the connection may allow fewer',
    validator: (steps) => steering.assertParallel(steps),
  })
  setHandler(setFailFastUpdate, (failFast) => steering.setFailFast(failFast), {
    description: 'true: start nothing more once a model has failed; false: build what does not depend on it',
    validator: (failFast) => steering.assertFailFast(failFast),
  })
  setHandler(skipModelUpdate, (model) => steering.skipModel(model), {
    description: 'Leave a model out, with all that read it; a running one is interrupted. Nothing is promoted then',
    validator: (model) => steering.assertSkippable(model),
  })
  setHandler(retryModelUpdate, (model?: string) => steering.retryModel(model), {
    description:
      'Build a model that failed or was skipped by hand now, and then what waits for it; without a name all of them',
    validator: (model?: string) => steering.assertRetryable(model),
  })
}
