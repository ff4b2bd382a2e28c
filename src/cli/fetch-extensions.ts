/** `millrace-fetch-extensions DIR NAME…`: the command line that fills a folder with DuckDB's extensions. */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { findUnloadable } from '../connections/duckdb-build.ts'
import { MillraceError } from '../errors.ts'
import { provideExtensions, type ProvidedExtension, type ProvidedExtensions } from '../extensions/provide-extensions.ts'
import { EXIT, exitCodeOf, type ExitCode } from './exit-codes.ts'
import { Output } from './output.ts'
import { alignColumns } from './text-table.ts'

const HELP = `millrace-fetch-extensions DIR NAME… [--platform PLATFORM] [--json] [--quiet] [--verbose]

Fetches DuckDB's extensions from the Python package index into DIR, as DuckDB looks for them there, and loads each to see
that it works. What is there already stays. DIR is what a connection names as extension_directory.

  --platform  of the machine that will use DIR, as DuckDB calls it (linux_amd64, linux_arm64, osx_amd64, osx_arm64,
              windows_amd64); default: this machine's. Those of another platform cannot be loaded to see that they work.`

/** Never throws; what went wrong is printed and in the exit code. */
export async function runFetchExtensions(argv: readonly string[]): Promise<ExitCode> {
  let output = new Output({ json: argv.includes('--json'), quiet: false, verbose: argv.includes('--verbose') })
  try {
    const { directory, names, options } = parse(argv)
    output = new Output(options)
    if (options.help) {
      output.answer(HELP, { help: HELP })
      return EXIT.done
    }
    const provided = await provideExtensions(directory, names, {
      platform: options.platform,
      onProgress: (line) => output.say(line),
    })
    await assertLoadable(directory, provided)
    output.answer(toText(provided, directory), { directory, ...provided })
    return EXIT.done
  } catch (error) {
    output.error(error)
    return error instanceof MillraceError ? exitCodeOf(error.code) : EXIT.failed
  }
}

function parse(argv: readonly string[]) {
  const { values, positionals } = read(argv)
  const { help = false, json = false, quiet = false, verbose = false, platform } = values
  const [directory, ...names] = positionals
  const options = { help, json, quiet, verbose, platform }
  if (help) return { directory: '', names, options }
  if (directory === undefined || names.length === 0) {
    throw new MillraceError('USAGE', `expected DIR NAME…; got '${positionals.join(' ')}'`, { hint: 'see --help' })
  }
  return { directory: resolve(directory), names, options }
}

function read(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        help: { type: 'boolean', short: 'h' },
        json: { type: 'boolean' },
        platform: { type: 'string' },
        quiet: { type: 'boolean', short: 'q' },
        verbose: { type: 'boolean' },
      },
      allowPositionals: true,
    })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new MillraceError('USAGE', message.split('. ')[0] ?? message, { hint: 'see --help' })
  }
}

/** @throws MillraceError EXTENSION, naming each that does not load. */
async function assertLoadable(directory: string, { forThisMachine, extensions }: ProvidedExtensions): Promise<void> {
  if (!forThisMachine) return
  const withFile = extensions.filter(({ source }) => source !== 'built in')
  const problems = await findUnloadable(
    directory,
    withFile.map(({ name }) => name),
  )
  if (problems.size === 0) return
  const reasons = [...problems].map(([name, reason]) => `'${name}': ${reason}`)
  throw new MillraceError('EXTENSION', `${directory} has what DuckDB does not load: ${reasons.join('; ')}`, {
    hint:
      'Fetch what it needs into the same folder; motherduck loads only where its service can be reached; ' +
      'remove a file that is broken, and run this again.',
  })
}

const SOURCE_TEXT: Record<ProvidedExtension['source'], string> = {
  fetched: 'fetched',
  present: 'there already',
  'built in': 'part of DuckDB, needs no file',
}

function toText({ version, platform, forThisMachine, extensions }: ProvidedExtensions, directory: string): string {
  const rows = extensions.map(({ name, source }) => {
    const loads = source === 'built in' ? '' : forThisMachine ? ', loads' : ', not loaded: for another platform'
    return [`  ${name}`, `${SOURCE_TEXT[source]}${loads}`]
  })
  return [`DuckDB ${version} on ${platform}, ${directory}`, ...alignColumns(rows)].join('\n')
}
