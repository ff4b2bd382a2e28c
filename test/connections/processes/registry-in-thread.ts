/** Asks for all that the registry gives, in a worker thread. */
import { parentPort } from 'node:worker_threads'
import { noopMetricMeter } from '@temporalio/common'
import { reportConnections } from '../../../src/connection-metrics.ts'
import { connectionRegistry, createConnectionRegistry } from '../../../src/connections/registry.ts'

function refusal(work: () => unknown): string {
  try {
    work()
    return 'not refused'
  } catch (error) {
    return (error as Error).message
  }
}

const answer = {
  registry: refusal(() => connectionRegistry()),
  snapshot: refusal(() => connectionRegistry().snapshot()),
  metrics: refusal(() => reportConnections(connectionRegistry(), noopMetricMeter)),
  made: refusal(() => createConnectionRegistry()),
  global: typeof Reflect.get(globalThis, Symbol.for('millrace.connection-registry')),
}
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, not a window
parentPort?.postMessage(answer)
