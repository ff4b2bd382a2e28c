/** What every verb gets, and what it is. */
import type { ExitCode } from './exit-codes.ts'
import type { CliOptions } from './options.ts'
import type { Output } from './output.ts'

export interface CommandContext {
  /** Absolute path of the project's folder. */
  root: string
  /** What follows the verb and the PROJECT. */
  args: string[]
  options: CliOptions
  output: Output
  env: NodeJS.ProcessEnv
}

/** What a verb does. */
export interface Verb {
  run(context: CommandContext): Promise<ExitCode>
}

/** What is known of a verb before its code is loaded. */
export interface VerbEntry {
  /** After the verb, for `--help`. */
  usage: string
  summary: string
  /** Many queries at once, or a worker: the process needs more libuv threads than the default. */
  opens: boolean
  /** How many arguments it takes besides PROJECT: least and most. */
  args: readonly [number, number]
  load(): Promise<Verb>
}
