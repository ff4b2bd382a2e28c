/** Long-lived things are created here, outside the AsyncLocalStorage of the activity that happens to need them first. */
import { AsyncResource } from 'node:async_hooks'

// Made when the module is loaded: the first lease may be asked for inside an activity, whose context this would keep for ever.
const outside = new AsyncResource('millrace.connections')

/** Runs `work`, and whatever it starts (timers, promises, instances), without the caller's asynchronous context. */
export function outsideContext<T>(work: () => T): T {
  return outside.runInAsyncScope(work)
}
