/** Run by `npm ci` in a checkout: its workflows are bundled into the user's cache, so that the first worker does not have to. */
import { loadWorkflowBundle } from '../src/cli/workflow-bundle.ts'

try {
  await loadWorkflowBundle(process.env)
} catch (error) {
  // The first worker makes it, or says why it cannot.
  console.error(`The workflows are bundled later: ${error instanceof Error ? error.message : String(error)}`)
}
