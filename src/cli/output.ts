/**
 * What a command writes: its one answer on standard output, everything else on standard error.
 * With `--json` standard output is exactly one JSON document.
 */
import { formatError, MillraceError, ProjectError } from '../errors.ts'

export interface OutputOptions {
  json: boolean
  quiet: boolean
  verbose: boolean
}

export class Output {
  readonly #options: OutputOptions
  readonly #notices = new Set<string>()
  #view: { erase(): void } | null = null

  constructor(options: OutputOptions) {
    this.#options = options
  }

  get json(): boolean {
    return this.#options.json
  }

  get quiet(): boolean {
    return this.#options.quiet
  }

  /** A person watches: standard error is a terminal and nothing asks for silence. */
  get live(): boolean {
    return process.stderr.isTTY && !this.#options.quiet && !this.#options.json
  }

  /** What is drawn at the end of the terminal: it makes room for every line, and is drawn again by its owner. */
  set view(view: { erase(): void } | null) {
    this.#view = view
  }

  /** The command's answer. @param text for people, @param document for `--json`. */
  answer(text: string, document: unknown): void {
    process.stdout.write(this.#options.json ? `${JSON.stringify(document, null, 2)}\n` : text === '' ? '' : `${text}\n`)
  }

  /** Progress and remarks; silent with `--quiet`. */
  say(line: string): void {
    if (this.#options.quiet) return
    this.#view?.erase()
    process.stderr.write(`${line}\n`)
  }

  /** A remark that is made once, however often it comes up. */
  notice(line: string): void {
    if (this.#notices.has(line)) return
    this.#notices.add(line)
    this.say(`note: ${line}`)
  }

  error(error: unknown): void {
    const known = error instanceof MillraceError ? error : unexpected(error)
    if (this.#options.json) process.stdout.write(`${JSON.stringify({ error: toDocument(known) }, null, 2)}\n`)
    process.stderr.write(`${formatError(known)}\n`)
    if (!this.#options.verbose) return
    const cause = known.cause instanceof Error ? `\ncaused by ${known.cause.stack ?? known.cause.message}` : ''
    process.stderr.write(`${known.stack ?? ''}${cause}\n`)
  }
}

function toDocument(error: MillraceError): Record<string, unknown> {
  const { code, message, file, line, hint } = error
  const problems =
    error instanceof ProjectError && error.problems.length > 1 ? { problems: error.problems.map(toDocument) } : {}
  return { code, message, file, line, hint, ...problems }
}

function unexpected(error: unknown): MillraceError {
  return new MillraceError('INTERNAL', error instanceof Error ? error.message : String(error), {
    cause: error,
    hint: 'run it again with --verbose for the details',
  })
}
