import * as fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { MillraceError, ProjectError } from '../../src/errors.ts'
import { parseModelDefaults } from '../../src/project/header/model-defaults.ts'
import { createMacroHost } from '../../src/project/macro-host.ts'
import { parseModelFile } from '../../src/project/parse-model.ts'
import { createSqlParser } from '../../src/project/sql-parser.ts'
import { expandMacros, expandStatement, undefinedVariables, usedVariables } from '../../src/sql/macros.ts'
import type { MacroEnvironment } from '../../src/sql/macros.ts'

const parser = createSqlParser()
afterAll(() => parser.close())

const environment: MacroEnvironment = {
  start: 0,
  end: 86_400_000,
  execution: 0,
  variables: { v: 'abc', n: 3, l: ['p', 'q'], empty: [] },
  runtimeStage: 'evaluating',
  thisModel: '"t"."m"',
  gateway: null,
  modelKind: 'VIEW',
  host: createMacroHost(parser, () => Promise.resolve({ a: 'INTEGER' })),
}
const place = { file: 'models/m.sql', line: 3 }

const read = (file: string): unknown => JSON.parse(readFileSync(new URL(`../oracles/${file}`, import.meta.url), 'utf8'))
const bodies = [
  ...(read('macro.json') as { model: string }[]).map(({ model }) => model.slice(model.indexOf(';\n') + 2)),
  ...(read('macro-more.json') as { text: string }[]).map(({ text }) => text),
]
const headers = (read('header.json') as { source: string }[]).map(({ source }) => source)

const WORDS = (
  `@ @@ @{ } ( ) [ ] , ; -> := . - * / -- /* */ ' " $$ @IF( @EACH( @DEF( @WHERE( @JOIN( @SQL( @l @n @{v} x NULL TRUE ` +
  "SELECT FROM WHERE LEFT AS IN 1 'a' MODEL ( kind name JINJA_QUERY_BEGIN; JINJA_END; \u{E000}"
)
  .split(' ')
  .concat('x -> ', '(x, y) -> ', '\n', ' ')
const words = fc.array(
  fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...WORDS) }, fc.string({ unit: 'binary', maxLength: 3 })),
)

/** Known text with some of it cut out, repeated, or replaced by other words. */
function mutated(texts: readonly string[]): fc.Arbitrary<string> {
  const edit = fc.record({ at: fc.nat(400), cut: fc.nat(12), words })
  return fc.tuple(fc.constantFrom(...texts), fc.array(edit, { minLength: 1, maxLength: 4 })).map(([text, edits]) =>
    edits.reduce((result, { at, cut, words }) => {
      const place = result.length === 0 ? 0 : at % result.length
      return result.slice(0, place) + words.join('') + result.slice(place + cut)
    }, text),
  )
}

describe('macros of any text', () => {
  const texts = fc.oneof(
    words.map((list) => list.join(' ')),
    mutated(bodies),
  )

  test('expand, or are an error that says where', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const definitions = text.split(';').map((one) => ({ text: one, place }))
        for (const expand of [expandMacros, expandStatement]) {
          await expand(text, { ...environment, definitions }, place).catch(assertLocated)
        }
      }),
      { numRuns: 400 },
    )
  })

  test('are looked through, or are an error that says where', () => {
    fc.assert(
      fc.property(texts, (text) => {
        try {
          usedVariables(text, place)
          undefinedVariables(text, environment, place)
        } catch (error) {
          assertLocated(error)
        }
      }),
      { numRuns: 400 },
    )
  })

  test('leave a text without macros as it is', async () => {
    await fc.assert(
      fc.asyncProperty(texts, async (text) => {
        const plain = text.replaceAll('@', '').replaceAll(/jinja/gi, '').replaceAll('\u{E000}', '')
        const expanded = await expandMacros(plain, environment, place).catch(() => plain)
        expect(expanded).toBe(plain)
      }),
      { numRuns: 200 },
    )
  })
})

test('any header is a model, or an error that says where', () => {
  const context = {
    file: 'models/m.sql',
    defaults: parseModelDefaults({ dialect: 'duckdb' }),
    defaultCatalog: 'db',
    inferNames: true,
    timeColumnFormat: '%Y-%m-%d',
    variables: { v: 'abc', n: 3 },
  }
  fc.assert(
    fc.property(mutated(headers), (text) => {
      try {
        parseModelFile(text, context)
      } catch (error) {
        if (error instanceof ProjectError) error.problems.forEach(assertHasLine)
        else assertHasLine(error)
      }
    }),
    { numRuns: 1000 },
  )
})

function assertLocated(error: unknown): void {
  assertHasLine(error)
  expect((error as MillraceError).column).toBeGreaterThan(0)
}

function assertHasLine(error: unknown): void {
  if (!(error instanceof MillraceError)) throw error
  expect(error.file).toBe('models/m.sql')
  expect(error.line).toBeGreaterThan(0)
}
