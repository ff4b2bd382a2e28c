import { afterAll, expect, test } from 'vitest'
import { createSqlParser } from '../../src/project/sql-parser.ts'
import type { RelationName } from '../../src/project/model.ts'
import { displayName } from '../../src/sql/identifiers.ts'
import { rewriteTables } from '../../src/sql/rewrite.ts'

const parser = createSqlParser()
afterAll(() => parser.close())

/** Every table but those of schema `raw` is replaced. */
async function rewrite(sql: string): Promise<string> {
  const [parsed] = await parser.parse([sql])
  if (parsed === undefined || 'problem' in parsed) throw new Error(`not parsed: ${sql}`)
  const table = (relation: RelationName) => (relation.schema === 'raw' ? null : `<${displayName(relation)}>`)
  return rewriteTables(sql, parsed.references, { table, path: () => null })
}

test.each([
  ['SELECT c.s.t.x, s.t.x, t.x FROM c.s.t', 'SELECT "t".x, "t".x, t.x FROM <c.s.t> AS "t"'],
  ['SELECT s.t.x, c.s.t.y FROM s.t, c.s.t', 'SELECT "s.t".x, "c.s.t".y FROM <s.t> AS "s.t", <c.s.t> AS "c.s.t"'],
  ['SELECT C.S.T.x.field FROM c.s.t', 'SELECT "t".x.field FROM <c.s.t> AS "t"'],
  ['SELECT s.t.x.field FROM s.t', 'SELECT "t".x.field FROM <s.t> AS "t"'],
  // A field of a field of a column, of a table that is called like a catalog.
  ['SELECT c.s.t.x FROM a.c, c.s.t AS u', 'SELECT c.s.t.x FROM <a.c> AS "c", <c.s.t> AS u'],
  ['SELECT c.raw.t.x FROM c.raw.t', 'SELECT c.raw.t.x FROM c.raw.t'],
])('%s', async (sql, expected) => {
  expect(await rewrite(sql)).toBe(expected)
})
