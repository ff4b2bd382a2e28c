import { afterAll, describe, expect, test } from 'vitest'
import { externalDefinition } from '../../src/cli/external-definition.ts'
import type { ModelDefinition } from '../../src/project/definition.ts'
import { dataHash } from '../../src/project/fingerprint.ts'
import { inferColumns } from '../../src/project/infer-columns.ts'
import { loadProject } from '../../src/project/load.ts'
import type { Project } from '../../src/project/project.ts'
import { renderQuery } from '../../src/project/render-model.ts'
import { createSqlParser } from '../../src/project/sql-parser.ts'
import { createProject } from '../helpers/project.ts'

const parser = createSqlParser()
afterAll(() => parser.close())

const EXTERNALS = `- name: raw.events
  columns: { ID: INTEGER, "At time": TIMESTAMP }
- name: raw.unknown
- name: raw.wrong
  columns: { a: NO_SUCH_TYPE }
`
const full = (name: string, query: string, more = ''): string => `MODEL (name ${name}, kind FULL${more});\n${query}`

async function load(files: Record<string, string>): Promise<Project> {
  const root = await createProject({ 'external_models.yaml': EXTERNALS, ...files })
  return loadProject(root, { env: {}, parser })
}

async function render(project: Project, name: string): Promise<string> {
  const model = project.models.find((one) => one.name === name)
  if (model === undefined) throw new Error(`no model ${name}`)
  // As it comes out of the state.
  const definition = JSON.parse(JSON.stringify(externalDefinition(project, model))) as ModelDefinition
  const options = {
    interval: null,
    executionMs: 0,
    runtimeStage: 'evaluating',
    thisModel: null,
    root: project.root,
  } as const
  return renderQuery(definition, { ...options, parser })
}

describe('columns of what models read', () => {
  test('are declared, of a file, or what DuckDB finds', async () => {
    const project = await load({
      'models/declared.sql': full('s.declared', 'SELECT 1 AS a', ', columns (A INT, b DECIMAL(10, 2))'),
      'models/typed.sql': full(
        's.typed',
        'SELECT id, count(*) AS n, [max("At time")] AS times FROM raw.events GROUP BY ALL',
      ),
      'models/deep.sql': full('s.deep', 'FROM s.typed SELECT *, n / 2 AS half, s.typed.id AS again'),
      'models/inlined.sql': 'MODEL (name s.inlined, kind EMBEDDED);\nSELECT * FROM s.deep JOIN s.seed ON TRUE',
      'models/on.sql': full('s.on_inlined', 'WITH c AS (SELECT half, word FROM s.inlined) SELECT c.* FROM c'),
      'models/seed.sql': "MODEL (name s.seed, kind SEED (path 'seed.csv'));",
      'models/seed.csv': 'num,word\n1,x\n',
      'models/history.sql':
        'MODEL (name s.history, kind SCD_TYPE_2_BY_TIME (unique_key id));\nSELECT id, now() AS updated_at FROM raw.events',
      'models/lost.sql': full('s.lost', 'SELECT * FROM raw.unknown'),
      'models/odd.sql': full('s.odd', 'SELECT * FROM raw.wrong'),
      'models/pivoted.sql': full('s.pivoted', 'PIVOT s.typed ON id USING sum(n)'),
    })
    const columns = (name: string): Promise<Record<string, string> | null> => inferColumns(project, name, parser)
    expect(await columns('s.declared')).toEqual({ a: 'INT', b: 'DECIMAL(10, 2)' })
    expect(await columns('raw.events')).toEqual({ id: 'INTEGER', 'at time': 'TIMESTAMP' })
    expect(await columns('s.typed')).toEqual({ id: 'INTEGER', n: 'BIGINT', times: 'TIMESTAMP[]' })
    expect(Object.keys((await columns('s.deep')) ?? {})).toEqual(['id', 'n', 'times', 'half', 'again'])
    expect(await columns('s.seed')).toEqual({ num: 'BIGINT', word: 'VARCHAR' })
    expect(await columns('s.on_inlined')).toEqual({ half: 'DOUBLE', word: 'VARCHAR' })
    expect(await columns('s.history')).toEqual({
      id: 'INTEGER',
      updated_at: 'TIMESTAMP WITH TIME ZONE',
      valid_from: 'TIMESTAMP',
      valid_to: 'TIMESTAMP',
    })
    for (const name of ['s.lost', 's.odd', 's.pivoted', 'raw.unknown', 'raw.none'])
      expect(await columns(name)).toBeNull()
    expect(await inferColumns(project, 's.typed')).toMatchObject({ n: 'BIGINT' })
  })

  test('are in the definition of who asks for them, and in its hash', async () => {
    const files = {
      'models/a.sql': full('s.a', 'SELECT id AS k, 1.5 AS v FROM raw.events'),
      'models/b.sql': full('s.b', 'SELECT @STAR(s.a, x) FROM s.a AS x'),
      'models/c.sql': full('s.c', "@UNION('all', s.b, s.a)"),
      'models/d.sql': full('s.d', 'SELECT * FROM raw.events'),
    }
    const project = await load(files)
    expect(await render(project, 's.b')).toContain(
      'CAST("x"."k" AS INTEGER) AS "k", CAST("x"."v" AS DECIMAL(2,1)) AS "v"',
    )
    expect(await render(project, 's.c')).toContain('UNION ALL SELECT CAST("k" AS INTEGER)')
    expect(project.models.map(({ name, depends_on }) => [name, depends_on])).toEqual([
      ['s.a', ['raw.events']],
      ['s.b', ['s.a']],
      ['s.c', ['s.a', 's.b']],
      ['s.d', ['raw.events']],
    ])

    const changed = await load({ ...files, 'external_models.yaml': EXTERNALS.replace('INTEGER', 'BIGINT') })
    const hashes = (one: Project): string[] => one.models.map((model) => dataHash(model, one.variables))
    const same = hashes(project).map((hash, index) => hash === hashes(changed)[index])
    expect(same).toEqual([true, false, false, true])
    expect(project.models[3]).not.toHaveProperty('read_columns')
  })

  test('of a circle are an error, and so are those nobody knows', async () => {
    await expect(
      load({
        'models/a.sql': full('s.a', 'SELECT @STAR(s.b) FROM s.b'),
        'models/b.sql': full('s.b', 'SELECT * FROM s.a'),
      }),
    ).rejects.toMatchObject({ code: 'CYCLE', hint: 'declare the columns of one of them' })
    await expect(
      load({ 'models/a.sql': full('s.a', 'SELECT\n@STAR(raw.unknown) FROM raw.unknown') }),
    ).rejects.toMatchObject({
      code: 'MACRO',
      file: 'models/a.sql',
      line: 3,
    })
  })
})
