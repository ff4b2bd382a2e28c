/** Places of errors in a text of several statements. */
import { expect, test } from 'vitest'
import { inStatement, joinStatements } from '../../../src/activities/step/script-text.ts'
import { classifySqlError } from '../../../src/connections/sql-errors.ts'

const FIRST = ['CREATE TEMP TABLE t AS SELECT -- wide', ...Array.from({ length: 12 }, (_, n) => `  ${n} AS c${n},`)]
const STATEMENTS = [FIRST.join('\n'), 'SELECT 1', 'SELECT\n  c0,\n  nope\nFROM t', 'SELECT 2']

test('a statement may end in a comment', () => {
  expect(joinStatements(['SELECT 1 -- one', 'SELECT 2'])).toBe('SELECT 1 -- one\n;\nSELECT 2')
})

test.each([
  { line: 1, text: 'CREATE TEMP', column: 8, expected: 1 },
  { line: 13, text: '  11 AS c11,', column: 3, expected: 13 },
  { line: 15, text: 'SELECT 1', column: 1, expected: 1 },
  { line: 19, text: '  nope', column: 3, expected: 3 },
  { line: 22, text: 'SELECT 2', column: 8, expected: 1 },
])(
  'line $line of the whole is line $expected of its statement, the column stays',
  ({ line, text, column, expected }) => {
    expect(joinStatements(STATEMENTS).split('\n')[line - 1]).toContain(text)
    const prefix = `LINE ${line}: `
    const message = `Binder Error: no\n\n${prefix}${text}\n${' '.repeat(prefix.length + column - 1)}^`

    const error = inStatement(new Error(message), STATEMENTS)

    expect(classifySqlError(error)).toMatchObject({
      kind: 'binder',
      message: 'Binder Error: no',
      position: { line: expected, column, text },
    })
  },
)

test('an error without a place stays as it is', () => {
  const error = new Error('Conversion Error: no')
  expect(inStatement(error, STATEMENTS)).toBe(error)
})
