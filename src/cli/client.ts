/** `client.ts VERB [PROJECT] …`: finds the verb and the project, runs it, turns errors into exit codes. */
import '../dispose-symbols.ts'
import { resolve } from 'node:path'
import { MillraceError, nearest } from '../errors.ts'
import type { CommandContext, VerbEntry } from './command.ts'
import { EXIT, exitCodeOf, type ExitCode } from './exit-codes.ts'
import { parseCommandLine, type CliOptions } from './options.ts'
import { Output } from './output.ts'
import { isProject } from './project-folder.ts'
import { needsMoreThreads, runWithMoreThreads } from './respawn.ts'
import { LATER_VERBS, VERBS } from './verbs/index.ts'
import { versionText } from './version.ts'

/** Never throws; what went wrong is printed and in the exit code. */
export async function runClient(argv: readonly string[]): Promise<ExitCode> {
  let output = new Output({ json: argv.includes('--json'), quiet: false, verbose: argv.includes('--verbose') })
  try {
    const { verb: name, args, options } = parseCommandLine(argv)
    output = new Output(options)
    if (options.version) return answer(output, versionText())
    if (name === null || name === 'help')
      return answer(output, helpText(), name === null && !options.help ? EXIT.usage : EXIT.done)
    const verb = findVerb(name)
    if (options.help) return answer(output, `client.ts ${name} ${verb.usage}\n\n${verb.summary}`)
    if (verb.opens && needsMoreThreads()) return await runWithMoreThreads()
    const context = toContext(verb, name, args, { options, output })
    return await (await verb.load()).run(context)
  } catch (error) {
    output.error(error)
    return error instanceof MillraceError ? exitCodeOf(error.code) : EXIT.failed
  }
}

function findVerb(name: string): VerbEntry {
  const verb = VERBS[name]
  if (verb !== undefined) return verb
  if (LATER_VERBS.has(name)) throw new MillraceError('NOT_YET', `the verb '${name}' comes with a later version`)
  const known = Object.keys(VERBS)
  const near = nearest(name, known)
  throw new MillraceError('USAGE', `expected one of the verbs ${known.join(', ')}; got '${name}'`, {
    hint: near === null ? 'see --help' : `Did you mean '${near}'?`,
  })
}

/** PROJECT comes first; the only argument is a PROJECT only if it is a folder with a config file. */
function toContext(
  verb: VerbEntry,
  name: string,
  args: readonly string[],
  { options, output }: { options: CliOptions; output: Output },
): CommandContext {
  const [least, most] = verb.args
  const first = args[0]
  const takesProject =
    options.project === null && first !== undefined && (args.length > most || (args.length > least && isProject(first)))
  const rest = takesProject ? args.slice(1) : [...args]
  if (rest.length < least || rest.length > most) {
    throw new MillraceError(
      'USAGE',
      `${name}: expected ${verb.usage === '' ? 'no arguments' : verb.usage}; got '${args.join(' ')}'`,
      {
        hint: `see ${name} --help`,
      },
    )
  }
  const root = resolve(options.project ?? (takesProject ? (first ?? '.') : '.'))
  return { root, args: rest, options, output, env: process.env }
}

function answer(output: Output, text: string, code: ExitCode = EXIT.done): ExitCode {
  output.answer(text, text)
  return code
}

function helpText(): string {
  const width = Math.max(...Object.keys(VERBS).map((name) => name.length))
  const lines = Object.entries(VERBS).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`)
  return ['client.ts VERB [PROJECT] [options]', '', ...lines, '', 'client.ts VERB --help tells more of a verb.'].join(
    '\n',
  )
}
