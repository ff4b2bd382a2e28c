/** Asks for the registry in a worker thread. */
import { parentPort } from 'node:worker_threads'
import { connectionRegistry } from '../../../src/connections/registry.ts'

try {
  connectionRegistry()
  parentPort?.postMessage({ code: null })
} catch (error) {
  const { code, message } = error as { code?: string; message: string }
  parentPort?.postMessage({ code, message })
}
