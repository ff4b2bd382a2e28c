/** `worker.ts [PROJECT…]`: the command line of a worker. */
import '../dispose-symbols.ts'
import { formatError, MillraceError } from '../errors.ts'
import { EXIT, exitCodeOf, type ExitCode } from './exit-codes.ts'
import { formatLogLine } from './log-lines.ts'
import { parseCommandLine } from './options.ts'
import { Output } from './output.ts'
import { needsMoreThreads, runWithMoreThreads } from './respawn.ts'

/** Never throws; what went wrong is printed and in the exit code. */
export async function runWorker(argv: readonly string[]): Promise<ExitCode> {
  const output = new Output({ json: false, quiet: false, verbose: argv.includes('--verbose') })
  let logsJson = false
  try {
    const { verb, args, options } = parseCommandLine(argv)
    logsJson = options.logFormat === 'json'
    if (needsMoreThreads()) return await runWithMoreThreads()
    const projects = [...(verb === null ? [] : [verb]), ...args]
    // Loaded in the process that serves, not in the one that only starts it.
    const { serve } = await import('./serve.ts')
    await serve(projects.length === 0 ? ['.'] : projects, options, output)
    return EXIT.done
  } catch (error) {
    if (!logsJson) output.error(error)
    else {
      const [message, fields] = error instanceof MillraceError ? [formatError(error), {}] : [String(error), { error }]
      process.stderr.write(formatLogLine({ time: new Date(), level: 'ERROR', message, fields }, 'json'))
    }
    return error instanceof MillraceError ? exitCodeOf(error.code) : EXIT.failed
  }
}
