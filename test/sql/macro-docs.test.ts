import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { createMacroHost } from '../../src/project/macro-host.ts'
import { createSqlParser } from '../../src/project/sql-parser.ts'
import { MACRO_FUNCTIONS } from '../../src/sql/macro-names.ts'
import { expandMacros, expandStatement } from '../../src/sql/macros.ts'
import type { MacroEnvironment } from '../../src/sql/macros.ts'

const text = readFileSync(new URL('../../docs/macros.md', import.meta.url), 'utf8')
const examples = [...text.matchAll(/```sql\n([\s\S]*?)\n-- gives\n([\s\S]*?)\n```/g)].map(
  ([, written = '', gives = '']) => [written, gives] as const,
)

const parser = createSqlParser()
afterAll(() => parser.close())

const columns: Readonly<Record<string, Record<string, string>>> = {
  orders: { id: 'INTEGER', amount: 'DOUBLE', note: 'VARCHAR' },
  returns: { amount: 'DOUBLE', id: 'INTEGER' },
}
const environment: MacroEnvironment = {
  start: Date.UTC(2020, 0, 1),
  end: Date.UTC(2020, 0, 3),
  execution: Date.UTC(2020, 0, 5, 6, 7, 8),
  variables: { region: 'eu', days: 3, statuses: ['new', 'paid'] },
  runtimeStage: 'evaluating',
  thisModel: '"db"."shop"."orders"',
  gateway: null,
  modelKind: null,
  host: createMacroHost(parser, ({ name }) => Promise.resolve(columns[name] ?? null)),
}

describe('docs/macros.md', () => {
  test.each(examples)('%s', async (written, gives) => {
    const statements = written.split(';\n')
    const definitions = statements.map((statement) => ({ text: statement, place: null }))
    const expanded = await Promise.all(
      statements.map((statement) => expandStatement(statement, { ...environment, definitions }, null)),
    )
    expect(evened(expanded.flat().join(';\n'))).toBe(evened(gives))
  })

  test('has an example of every function', () => {
    const written = examples.map(([example]) => example).join('\n')
    const optional = ['with', 'group_by', 'having']
    const missing = [...MACRO_FUNCTIONS].filter((name) => !written.includes(`@${name.toUpperCase()}(`))
    expect(missing.sort()).toEqual(optional.sort())
  })

  test('has every date variable as it is', async () => {
    const rows = [...text.matchAll(/^\| `(\w+)` \| `([^`]*)` \| `([^`]*)` \|$/gm)]
    expect(rows).toHaveLength(9)
    for (const [, suffix = '', start, end] of rows) {
      expect(await expandMacros(`@start_${suffix}`, environment, null)).toBe(start)
      expect(await expandMacros(`@end_${suffix}`, environment, null)).toBe(end)
    }
  })
})

/** Without the space that is left where something is left out. */
function evened(sql: string): string {
  return sql.replaceAll(/\s+/g, ' ').replaceAll(' ,', ',').trim()
}
