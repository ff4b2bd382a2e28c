/** Statements as one text, and the places that errors name in it. Pure. */
import { classifySqlError } from '../../connections/sql-errors.ts'

/** The separator has a line of its own: a statement may end in a comment. */
const SEPARATOR = '\n;\n'

export function joinStatements(statements: readonly string[]): string {
  return statements.join(SEPARATOR)
}

/** An error of the joined statements, its place counted within the statement it is about; as it is when it names none. */
export function inStatement(error: unknown, statements: readonly string[]): unknown {
  const { position } = classifySqlError(error)
  if (!(error instanceof Error) || position === undefined) return error
  let first = 1
  for (const statement of statements) {
    const behind = first + statement.split('\n').length
    if (position.line < behind) return atLine(error, position.line - first + 1)
    first = behind + 1
  }
  return error
}

/** The caret below the line stays where it points. */
function atLine(error: Error, line: number): Error {
  const message = error.message.replace(
    /^LINE (\d+): (.*)(?:\n( *)\^)?/m,
    (_, old: string, shown: string, indent?: string) => {
      const caret = indent === undefined ? '' : `\n${indent.slice(old.length)}${' '.repeat(String(line).length)}^`
      return `LINE ${line}: ${shown}${caret}`
    },
  )
  return new Error(message, { cause: error })
}
