import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MillraceError, ProjectError } from '../../src/errors.ts'
import { parseAuditFile } from '../../src/project/parse-audit.ts'

function refusal(source: string): MillraceError {
  try {
    parseAuditFile(source, 'audits/a.sql')
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
  throw new Error('it was accepted')
}

describe('audit files', () => {
  test('every AUDIT takes the query after it', () => {
    const source = `-- about it
AUDIT (
  name Positive,
  dialect duckdb,
  blocking 'false',
  defaults (threshold = 10, col = "Id", list = (1, 2)),
);
SELECT * FROM @this_model -- bad; rows
WHERE @col < @threshold;

AUDIT (name other, skip TRUE, standalone true, tags (x), depends_on s.B);
JINJA_QUERY_BEGIN; SELECT 1 WHERE {{ x }}; JINJA_END;`
    expect(parseAuditFile(source, 'audits/a.sql')).toEqual([
      {
        name: 'positive',
        query: { text: 'SELECT * FROM @this_model -- bad; rows\nWHERE @col < @threshold', line: 8 },
        blocking: false,
        skip: false,
        standalone: false,
        defaults: { threshold: '10', col: '"Id"', list: '(1, 2)' },
        file: 'audits/a.sql',
        line: 2,
      },
      {
        name: 'other',
        query: { text: 'JINJA_QUERY_BEGIN; SELECT 1 WHERE {{ x }}; JINJA_END;', line: 12 },
        blocking: false,
        skip: true,
        standalone: true,
        defaults: {},
        file: 'audits/a.sql',
        line: 11,
        node: { owner: null, tags: ['x'], description: null, depends_on: ['s.b'] },
      },
    ])
  })

  test('a file of comments holds none', () => {
    expect(parseAuditFile('-- nothing\n', 'audits/a.sql')).toEqual([])
  })

  test.each([
    ['AUDIT (nme a);\nSELECT 1', 1, "Did you mean 'name'?"],
    ['AUDIT (skip true);\nSELECT 1', 1, 'AUDIT (name my_audit)'],
    ['AUDIT (name a);', 1, 'bad rows'],
    ['AUDIT (name a);\nDROP TABLE x', 2, 'bad rows'],
    ['AUDIT (name a)\nSELECT 1', 2, 'AUDIT (…);'],
    ['AUDIT (name a, blocking perhaps);\nSELECT 1', 1, null],
    ['AUDIT (name a, standalone true, blocking true);\nSELECT 1', 1, 'remove it'],
    ['AUDIT (name a);\nSELECT 1;\nSELECT 2', 3, 'an audit is'],
    ['SELECT 1', 1, 'an audit is'],
  ])('%s is refused', (source, line, hint) => {
    const error = refusal(source)
    expect(error).toMatchObject({ code: 'AUDIT', file: 'audits/a.sql', line })
    if (hint !== null) expect(error.hint).toContain(hint)
  })

  test('a dialect other than DuckDB’s is refused', () => {
    expect(refusal('AUDIT (name a,\n dialect spark);\nSELECT 1')).toMatchObject({ code: 'DIALECT', line: 2 })
  })

  test('all problems of a file are reported at once', () => {
    const error = refusal('AUDIT (name a, x 1);\nSELECT 1;\nAUDIT (y 2);\nSELECT 2')
    expect(error).toBeInstanceOf(ProjectError)
    expect((error as ProjectError).problems.map(({ line }) => line)).toEqual([1, 3])
  })

  test('any text is read or refused with a place', () => {
    const piece = fc.constantFrom(
      'AUDIT (',
      'name a',
      ')',
      ';',
      ',',
      'SELECT 1',
      'defaults (a = 1)',
      "'",
      '(',
      '@x',
      '--',
      '\n',
      'JINJA_END',
    )
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 20 }), (pieces) => {
        try {
          parseAuditFile(pieces.join(' '), 'audits/a.sql')
        } catch (error) {
          expect(error).toBeInstanceOf(MillraceError)
          expect(error).toMatchObject({ file: 'audits/a.sql', line: expect.any(Number) })
        }
      }),
      { numRuns: 1000 },
    )
  })
})
