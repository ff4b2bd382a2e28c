/** A worker for one or more projects: `npx tsx worker.ts [PROJECT…]`. */
import { runWorker } from './src/cli/worker.ts'

process.exitCode = await runWorker(process.argv.slice(2))
