/** `worker.ts [PROJECT…]`: the command line of a worker. */
import '../dispose-symbols.ts'
import { MillraceError } from '../errors.ts'
import { EXIT, exitCodeOf, type ExitCode } from './exit-codes.ts'
import { parseCommandLine } from './options.ts'
import { Output } from './output.ts'
import { needsMoreThreads, runWithMoreThreads } from './respawn.ts'

/** Never throws; what went wrong is printed and in the exit code. */
export async function runWorker(argv: readonly string[]): Promise<ExitCode> {
  const output = new Output({ json: false, quiet: false, verbose: argv.includes('--verbose') })
  try {
    const { verb, args, options } = parseCommandLine(argv)
    if (needsMoreThreads()) return await runWithMoreThreads()
    const projects = [...(verb === null ? [] : [verb]), ...args]
    // Loaded in the process that serves, not in the one that only starts it.
    const { serve } = await import('./serve.ts')
    await serve(projects.length === 0 ? ['.'] : projects, options, output)
    return EXIT.done
  } catch (error) {
    output.error(error)
    return error instanceof MillraceError ? exitCodeOf(error.code) : EXIT.failed
  }
}
