import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { renderVerb, type RenderDocument } from '../../src/cli/verbs/render.ts'
import { toDs } from '../../src/graph/time.ts'
import { runCli } from '../helpers/cli.ts'
import { createProject, query } from '../helpers/project.ts'
import { errorOf, runVerb } from './run-verb.ts'

const FILES = {
  'models/daily.sql': `MODEL (name a.daily, kind INCREMENTAL_BY_TIME_RANGE (time_column day), columns (day DATE, n BIGINT));
SET VARIABLE ext = @ext;
SELECT day, count(*) AS n FROM a.kept WHERE day BETWEEN @start_ds AND @end_ds AND seen < @end_dt -- the end
;
DELETE FROM @this_model WHERE n = 0;`,
  'models/kept.sql': 'MODEL (name a.kept, kind EMBEDDED);\nSELECT r.* FROM a.inner_rows AS r WHERE n > @limit',
  'models/inner.sql': "MODEL (name a.inner_rows, kind EMBEDDED);\nSELECT * FROM 'data/in.parquet'",
  'models/full.sql':
    'MODEL (name a.full_one, kind FULL);\nSELECT @execution_ds AS d, x FROM a.daily AS t, outside.source',
  'models/other.sql': 'MODEL (name b.daily);\nSELECT 1 AS one',
  'models/off.sql': 'MODEL (name a.off, enabled false);\nSELECT 2 AS two',
  'models/declared.sql': "MODEL (name a.declared, kind SEED (path '../seeds/s.csv'), columns (id INT, note TEXT));",
  'models/found.sql': "MODEL (name a.found, kind SEED (path '../seeds/s.csv'));",
  'seeds/s.csv': 'id,note\n1,x\n2,\n',
  'external_models.yaml': '- name: outside.source\n',
}
const VARS = ['--var', 'limit=3', '--var', 'ext=json']

const render = async (root: string, words: readonly string[]) =>
  runVerb<RenderDocument>(renderVerb, root, [...words, ...VARS])

test('macros are expanded for the interval, tables keep their names, embedded models are inlined', async () => {
  const root = await createProject(FILES)
  const { document, code } = await render(root, ['a.daily', '--start', '2024-03-01', '--end', '2024-03-02'])
  expect(code).toBe(0)
  expect(document).toMatchObject({ model: 'a.daily', pre: ["SET VARIABLE ext = 'json'"], dependencies: ['a.kept'] })
  expect(document.post).toEqual(['DELETE FROM "a"."daily" WHERE n = 0'])
  expect(document.query).toContain("BETWEEN '2024-03-01' AND '2024-03-02'")
  expect(document.query).toContain("CAST('2024-03-02 23:59:59.999999+00:00' AS TIMESTAMPTZ)")
  expect(document.query).toContain('WHERE n > 3')
  expect(document.query).toContain(`'${join(root, 'data/in.parquet')}'`)
  expect(document.query).not.toMatch(/a\.kept|a\.inner_rows|@/)
  expect(document.query).toMatch(/^SELECT CAST\("day" AS DATE\) AS "day", CAST\("n" AS BIGINT\) AS "n" FROM \(/)
})

test('the text is the statements in order, each ended outside of its comments', async () => {
  const { text } = await render(await createProject(FILES), ['a.daily'])
  expect(text).toMatch(
    /^SET VARIABLE ext = 'json';\n\nSELECT [\s\S]*\) AS typed;\n\nDELETE FROM "a"\."daily" WHERE n = 0;$/,
  )
  const plain = await createProject({ 'models/c.sql': 'MODEL (name a.c);\nSELECT 1 AS one -- last' })
  expect((await runVerb(renderVerb, plain, ['c'])).text).toBe('SELECT 1 AS one -- last\n;')
})

test('without --start and --end the interval is the day before the execution time', async () => {
  const root = await createProject(FILES)
  const now = Date.now()
  const today = await render(root, ['a.daily'])
  expect([toDs(now - 86_400_000), toDs(Date.now() - 86_400_000)]).toContain(
    /BETWEEN '([^']+)'/.exec(today.document.query)?.[1],
  )
  const past = await render(root, ['a.daily', '--execution-time', '2024-05-05 12:00:00'])
  expect(past.document.query).toContain("BETWEEN '2024-05-04' AND '2024-05-04'")
  const open = await render(root, ['a.daily', '--execution-time', '2024-05-05', '--start', '3 days ago'])
  expect(open.document.query).toContain("BETWEEN '2024-05-02' AND '2024-05-04'")
  const end = await render(root, ['a.daily', '--end', '2024-01-31'])
  expect(end.document.query).toContain("BETWEEN '2024-01-31' AND '2024-01-31'")
})

test('a model without intervals takes the execution time', async () => {
  const { document } = await render(await createProject(FILES), ['full_one', '--execution-time', '2024-05-05'])
  expect(document).toEqual({
    model: 'a.full_one',
    query: "SELECT '2024-05-05' AS d, x FROM a.daily AS t, outside.source",
    pre: [],
    post: [],
    dependencies: ['a.daily', 'outside.source'],
  })
})

test('an embedded and a disabled model render as well', async () => {
  const root = await createProject(FILES)
  expect((await render(root, ['kept'])).document.query).toMatch(/FROM \(\nSELECT \* FROM '.*'.*\n\) AS r WHERE n > 3$/)
  expect((await render(root, ['a.off'])).document.query).toBe('SELECT 2 AS two')
})

test('the query of a seed reads its file; its columns are those declared or those found', async () => {
  const root = await createProject(FILES)
  for (const [name, expected] of [
    ['declared', 'INTEGER'],
    ['found', 'BIGINT'],
  ] as const) {
    const { document } = await render(root, [name])
    const rows = await query(':memory:', `SELECT id, note, typeof(id) AS t FROM (${document.query}) ORDER BY id`)
    expect(rows.map(({ id, note, t }) => [Number(id), note, t])).toEqual([
      [1, 'x', expected],
      [2, null, expected],
    ])
  }
})

test.each([
  ['a.dialy', { code: 'UNKNOWN_MODEL', hint: "Did you mean 'a.daily'?" }],
  ['daily', { code: 'UNKNOWN_MODEL', message: expect.stringContaining('a.daily, b.daily') }],
  ['outside.source', { code: 'UNKNOWN_MODEL', message: expect.stringContaining('external') }],
])('%s names no one model', async (name, error) => {
  expect(await errorOf(render(await createProject(FILES), [name]))).toMatchObject(error)
})

test('names are found in any case, by their last part, and with the default catalog', async () => {
  const root = await createProject(FILES)
  for (const name of ['A.FULL_ONE', 'Full_One', 'w.a.full_one']) {
    expect((await render(root, [name])).document.model).toBe('a.full_one')
  }
})

test.each([
  [['--start', '2024-02-02', '--end', '2024-02-01'], /expected --start before --end/],
  [['--start', 'someday'], /'someday'/],
])('%j is no interval', async (words, message) => {
  const error = await errorOf(render(await createProject(FILES), ['a.daily', ...words]))
  expect(error).toMatchObject({ code: 'USAGE', message: expect.stringMatching(message) })
})

test('as a user runs it: PROJECT comes before MODEL, and nothing is left in the folder', async () => {
  const root = await createProject(FILES)
  const { code, stdout, stderr } = await runCli(['render', root, 'a.found', ...VARS, '--json'], { HOME: root })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(Object.keys(JSON.parse(stdout) as object)).toEqual(['model', 'query', 'pre', 'post', 'dependencies'])
  expect(existsSync(join(root, '.millrace'))).toBe(false)
  expect(existsSync(join(root, 'w.duckdb'))).toBe(false)
})
