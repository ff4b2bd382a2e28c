/** The last part of `npm run build`: the compiled workflows → dist/workflow-bundle.js, which is shipped so that no worker bundles at its start. */
import { join } from 'node:path'
import { hashWorkflows, makeWorkflowBundle } from '../src/cli/make-workflow-bundle.ts'
import { writeAtOnce } from '../src/cli/workflow-bundle.ts'
import { workflowBundlePath } from '../src/workflows-path.ts'

const compiled = join(import.meta.dirname, '..', 'dist')
const code = await makeWorkflowBundle(join(compiled, 'workflows', 'index.js'), hashWorkflows(compiled))
await writeAtOnce(workflowBundlePath, code)
