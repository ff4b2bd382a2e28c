/** Asks for the registry in a worker thread. */
import { parentPort } from 'node:worker_threads'
import { connectionRegistry } from '../../../src/connections/registry.ts'

function answer(): { code: string | null; message: string } {
  try {
    connectionRegistry()
    return { code: null, message: 'a registry in a thread' }
  } catch (error) {
    const { code = null, message } = error as { code?: string; message: string }
    return { code, message }
  }
}

// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, not a window
parentPort?.postMessage(answer())
