/** The text a header was read from, and how problems in it are reported. */
import { MillraceError, nearest, type ErrorCode, type SourceLocation } from '../../errors.ts'
import { LexerError, tokenize, type Token } from '../../sql/lexer.ts'

/** Line and column from 1, as a token has them. */
export interface Position {
  line: number
  column: number
}

export interface HeaderSource {
  text: string
  /** The code of problems found in it. */
  code: ErrorCode
  /** The user's variables by name, of any case. */
  variables: Readonly<Record<string, unknown>>
  /** Where a token of `text` is for the user; a default from the config is placed at the model that takes it. */
  place(position: Position): SourceLocation
}

/** Text that is a file of the project. */
export function createFileSource(
  file: string,
  text: string,
  rest: Pick<HeaderSource, 'code' | 'variables'>,
): HeaderSource {
  const { code, variables } = rest
  return { code, variables, text, place: ({ line, column }) => ({ file, line, column }) }
}

/** Text from elsewhere (a string's inside, `model_defaults`), reported at `location`. */
export function createTextSource(
  location: SourceLocation,
  text: string,
  rest: Pick<HeaderSource, 'code' | 'variables'>,
): HeaderSource {
  const { code, variables } = rest
  return { code, variables, text, place: () => location }
}

/** @throws MillraceError SQL_SYNTAX for a string, comment, identifier or Jinja block that does not end. */
export function tokenizeSource(source: Pick<HeaderSource, 'text' | 'place'>): Token[] {
  try {
    return tokenize(source.text)
  } catch (error) {
    if (!(error instanceof LexerError)) throw error
    throw new MillraceError('SQL_SYNTAX', `expected text that ends; ${error.message}`, {
      ...source.place(error),
      hint: 'close it with the mark that opened it',
      cause: error,
    })
  }
}

/** A problem at `position`, for the caller to throw. */
export function headerProblem(source: HeaderSource, position: Position, message: string, hint?: string): MillraceError {
  return new MillraceError(source.code, message, { ...source.place(position), ...(hint === undefined ? {} : { hint }) })
}

/** `Did you mean 'x'? Known: a, b, x`, the first part only when a known name is near. */
export function knownHint(name: string, known: Iterable<string>): string {
  const names = [...known]
  const near = nearest(name, names)
  return `${near === null ? '' : `Did you mean '${near}'? `}Known: ${names.join(', ')}`
}

/** Runs a check that knows no place; its problem is reported at `position`. */
export function checkAt<T>(source: HeaderSource, position: Position, check: () => T): T {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    throw headerProblem(source, position, error.message, error.hint ?? undefined)
  }
}
