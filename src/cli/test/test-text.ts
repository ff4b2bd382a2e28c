/** What unit tests found, as text for people. Pure. */
import type { ShownRow } from '../../unit-tests/compare-rows.ts'
import type { OutputDifferences, TestResult } from '../../unit-tests/run-test.ts'
import type { TestRun } from '../../unit-tests/run-tests.ts'
import { seconds } from '../report-text.ts'
import { alignColumns, textTable } from '../text-table.ts'

/** Most rows of one table: more are counted only. */
const MOST_ROWS = 20
const INDENT = '       '

/** A line for each test, below it what differs; then the tally. */
export function testRunText({ tests, passed, failed }: TestRun): string {
  if (tests.length === 0) return 'No unit tests: write some as tests/test_*.yaml, or make one with `create-test MODEL`'
  const lines = alignColumns(
    tests.map(({ status, name, model, durationMs }) => [MARKS[status], name, model, seconds(durationMs)]),
  )
  const all = tests.flatMap((test, index) => [lines[index] ?? '', ...detailLines(test)])
  const count = `${passed} passed${failed === 0 ? '' : `, ${failed} failed`}`
  const took = seconds(tests.reduce((sum, { durationMs }) => sum + durationMs, 0))
  return [...all, '', `${count} in ${took}`].join('\n')
}

const MARKS: Record<TestResult['status'], string> = { pass: 'ok', fail: 'FAIL', error: 'ERROR' }

function detailLines({ file, line, error, differences }: TestResult): string[] {
  if (error !== null) {
    const hint = error.hint === null ? [] : [`${INDENT}hint: ${error.hint}`]
    const message = error.message.trim().replaceAll('\n', `\n${INDENT}  `)
    return [`${INDENT}error[${error.code}]: ${message} (${file}:${line})`, ...hint]
  }
  return differences.flatMap((one) => outputLines(one, file))
}

function outputLines({ cte, line, missing, unexpected, different }: OutputDifferences, file: string): string[] {
  const where = `${cte === null ? 'the query' : `the common table expression ${cte}`} (${file}:${line})`
  return [
    `${INDENT}${where}`,
    ...section('other values', different.length, cellTable(different.slice(0, MOST_ROWS))),
    ...section('rows that are missing', missing.length, rowTable(missing)),
    ...section('rows that nobody expected', unexpected.length, rowTable(unexpected)),
  ]
}

function section(title: string, count: number, table: string): string[] {
  if (count === 0) return []
  const more = count > MOST_ROWS ? [`${INDENT}  … ${count - MOST_ROWS} more`] : []
  return [`${INDENT}${title}:`, ...table.split('\n').map((line) => `${INDENT}  ${line}`), ...more]
}

function rowTable(rows: readonly ShownRow[]): string {
  const columns = Object.keys(rows[0] ?? {})
  return textTable(
    columns,
    rows.slice(0, MOST_ROWS).map((row) => columns.map((column) => cellText(row[column]))),
  )
}

function cellTable(different: OutputDifferences['different']): string {
  const rows = different.flatMap(({ row, columns }) =>
    Object.entries(columns).map(([column, { expected, actual }]) => {
      const [wanted, came] = [cellText(expected), cellText(actual)]
      // Quotes tell the text '1' from the number.
      const same = wanted === came
      return [String(row), column, same ? JSON.stringify(expected) : wanted, same ? JSON.stringify(actual) : came]
    }),
  )
  return textTable(['row', 'column', 'expected', 'actual'], rows)
}

/** One line, whatever is in it. */
export function cellText(cell: unknown): string {
  if (cell === null || cell === undefined) return 'NULL'
  return typeof cell === 'string' ? cell.replaceAll('\n', '\\n') : JSON.stringify(cell)
}
