/** Everything a person or a script triggers: `npx tsx client.ts VERB [PROJECT] …`; `--help` lists the verbs. */
import { runClient } from './src/cli/client.ts'

process.exitCode = await runClient(process.argv.slice(2))
