/** A verb run in this process, as the client runs it. */
import type { Verb } from '../../src/cli/command.ts'
import { parseCommandLine } from '../../src/cli/options.ts'
import { Output } from '../../src/cli/output.ts'
import { MillraceError } from '../../src/errors.ts'

export interface VerbResult<T = unknown> {
  code: number
  /** The answer for people. */
  text: string
  /** The answer of `--json`. */
  document: T
  /** Lines on standard error. */
  said: string[]
}

export interface VerbSurroundings {
  env?: NodeJS.ProcessEnv
  /** Called with each line for standard error. */
  onSay?: (line: string) => void
}

class RecordedOutput extends Output {
  readonly answers: { text: string; document: unknown }[] = []
  readonly said: string[] = []
  onSay: (line: string) => void = () => {}

  override answer(text: string, document: unknown): void {
    this.answers.push({ text, document })
  }

  override say(line: string): void {
    this.said.push(line)
    this.onSay(line)
  }
}

/** @param words what follows the verb, options included. Rejects with what the verb throws. */
export async function runVerb<T = unknown>(
  verb: Verb,
  root: string,
  words: readonly string[] = [],
  { env = {}, onSay = () => {} }: VerbSurroundings = {},
): Promise<VerbResult<T>> {
  const { args, options } = parseCommandLine(['verb', ...words])
  const output = new RecordedOutput(options)
  output.onSay = onSay
  // An empty home: nobody's personal configuration counts.
  const code = await verb.run({ root, args, options, output, env: { HOME: root, ...env } })
  const [answer, ...more] = output.answers
  if (answer === undefined || more.length > 0) throw new Error(`expected one answer, got ${output.answers.length}`)
  return { code, text: answer.text, document: JSON.parse(JSON.stringify(answer.document)) as T, said: output.said }
}

/** What a verb throws. */
export async function errorOf(work: Promise<unknown>): Promise<MillraceError> {
  try {
    await work
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
  throw new Error('expected an error')
}
