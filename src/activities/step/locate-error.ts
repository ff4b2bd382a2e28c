/** A database's error → its line in the model's file. DuckDB counts lines in the statement it was given; what it shows of the line is looked up in the SQL as written. Pure. */
import { classifySqlError } from '../../connections/sql-errors.ts'
import type { Model, SqlText } from '../../project/model.ts'

/** The first line of the query when DuckDB names no place, or one that a macro or a replaced name made. */
export function locateError(error: unknown, model: Pick<Model, 'line' | 'query' | 'pre' | 'post'>): number {
  const fallback = model.query?.line ?? model.line
  const { position } = classifySqlError(error)
  const shown = position?.text.replaceAll(/^\.\.\.|\.\.\.$/g, '').trim() ?? ''
  if (position === undefined || shown === '') return fallback
  const pieces: SqlText[] = [...(model.query === null ? [] : [model.query]), ...model.pre, ...model.post]
  for (const { text, line } of pieces) {
    // Of several equal lines the one nearest to DuckDB's: the query starts in the second or third line of its statement.
    const found = text
      .split('\n')
      .flatMap((candidate, index) => (candidate.includes(shown) ? [index] : []))
      .sort((a, b) => Math.abs(a + 2 - position.line) - Math.abs(b + 2 - position.line))
    if (found[0] !== undefined) return line + found[0]
  }
  return fallback
}
