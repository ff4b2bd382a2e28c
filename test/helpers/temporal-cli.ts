/** Global setup of the server tests: the Temporal CLI is there before the first of them, so that none has to wait for it. */
import { resolveTemporalCli } from '../../src/temporal/temporal-cli.ts'

export default async function setup(): Promise<void> {
  await resolveTemporalCli({ onProgress: (line) => process.stderr.write(`${line}\n`) })
}
