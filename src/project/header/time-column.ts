/** `time_column` of INCREMENTAL_BY_TIME_RANGE. */
import { headerProblem } from './header-source.ts'
import type { HeaderValue } from './properties.ts'
import { readColumn, readElements, readRequiredText, unexpected } from './values.ts'

/**
 * `ds` or `(ds, '%Y%m%d')`.
 * @param defaultFormat the project's `time_column_format`.
 * @throws MillraceError for a format without a `%` directive: it would stay literal and match no row.
 */
export function readTimeColumn(value: HeaderValue, defaultFormat: string): { column: string; format: string } {
  const [column, format, more] = readElements(value)
  if (column === undefined || more !== undefined) throw unexpected(value, value.at, "a column or (column, 'format')")
  const spelled = format === undefined ? defaultFormat : readRequiredText(format)
  if (!/%[a-zA-Z]|%-[a-zA-Z]/.test(spelled)) {
    throw headerProblem(
      value.source,
      format?.tokens[0] ?? value.at,
      `expected a format with % directives for 'time_column'; got '${spelled}', which is the same text for every date`,
      "write it as strftime does: '%Y-%m-%d', not 'YYYY-MM-dd'",
    )
  }
  return { column: readColumn(column), format: spelled }
}
