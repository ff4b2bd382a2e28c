import { afterAll, expect, test } from 'vitest'
import { ProjectError, type MillraceError } from '../../src/errors.ts'
import { createModelGraph } from '../../src/graph/model-graph.ts'
import { selectModels } from '../../src/graph/select.ts'
import { modelHashes } from '../../src/project/project-hash.ts'
import { loadProject } from '../../src/project/load.ts'
import type { Project } from '../../src/project/project.ts'
import { createSqlParser } from '../../src/project/sql-parser.ts'
import { createProject, TWO_MODELS } from '../helpers/project.ts'

const parser = createSqlParser()
afterAll(() => parser.close())

async function load(files: Record<string, string>): Promise<Project> {
  const root = await createProject(files)
  return loadProject(root, { env: { HOME: root }, parser })
}

async function problemsOf(files: Record<string, string>): Promise<readonly MillraceError[]> {
  const error: unknown = await load(files).catch((caught: unknown) => caught)
  if (error instanceof ProjectError) return error.problems
  throw error
}

function model(audits: string, query = 'SELECT 1 AS x'): string {
  return `MODEL (name s.m, kind FULL, audits (\n  ${audits}\n));\n${query}`
}

test('what audits read beside their model is known: built-in, of the project, inline, and in arguments', async () => {
  const project = await load({
    ...TWO_MODELS,
    'models/m.sql': `${model(
      `relationship(column := x, to := S.A, to_column := x),
  relationship(column := x, to := 'raw.t', to_column := x),
  accepted_values(column := x, is_in := (SELECT y FROM s.b)),
  not_null(columns := x, condition := "from" IS NULL),
  ranged, own`,
    )};\nAUDIT (name own);\nWITH c AS (SELECT 1 AS x) SELECT * FROM @this_model JOIN c USING (x) JOIN s.m AS me USING (x)`,
    'audits/ranged.sql': 'AUDIT (name ranged);\nSELECT * FROM @this_model, raw.other WHERE d = @start_ds',
  })
  const found = project.models.find(({ name }) => name === 's.m')
  expect(found?.audit_depends_on).toEqual(['raw.other', 'raw.t', 's.a', 's.b', 's.m'])
  expect(found?.depends_on).toEqual([])
  expect(found?.audits.map(({ line }) => line)).toEqual([2, 3, 4, 5, 6, 6])
})

test('a line more above a call, and whether bad rows are kept, is no change of the model', async () => {
  const hash = async (audits: string): Promise<string | undefined> =>
    modelHashes(await load({ 'models/m.sql': model(audits) }))['s.m']
  const first = await hash('not_null(columns := x)')
  expect(await hash('\n not_null(columns := x, keep_failures := true)')).toBe(first)
  expect(await hash('not_null(columns := (x))')).not.toBe(first)
})

test('a standalone audit is a node of its own', async () => {
  const project = await load({
    ...TWO_MODELS,
    'audits/all.sql': `AUDIT (name checks.both, standalone true, owner me, tags (daily), depends_on (raw.t), defaults (n = 1 + 1));
SELECT * FROM s.a JOIN s.b ON x = y * @n WHERE @start_ds < '2024-01-01';
AUDIT (name off, standalone true, skip true);
SELECT 1`,
  })
  expect(project.models.map(({ name, kind }) => [name, kind.name])).toEqual([
    ['checks.both', 'AUDIT'],
    ['s.a', 'FULL'],
    ['s.b', 'FULL'],
  ])
  const graph = createModelGraph(project.models)
  expect([...selectModels(graph, { exclude: 'kind:audit' })]).toEqual(['s.a', 's.b'])
  expect([...selectModels(graph, { select: '+both' })]).toEqual(['s.a', 's.b', 'checks.both'])
  expect(project.models[0]).toMatchObject({
    owner: 'me',
    tags: ['daily'],
    depends_on: ['raw.t', 's.a', 's.b'],
    line: 1,
  })
})

test.each<[title: string, files: Record<string, string>, problem: Partial<MillraceError>]>([
  [
    'a missing argument',
    { 'models/m.sql': model('not_null(columns := x),\n  z_score(column := x)') },
    { code: 'AUDIT', file: 'models/m.sql', line: 3 },
  ],
  [
    'a misspelled one',
    { 'models/m.sql': model('not_null(column := x)') },
    { code: 'AUDIT', line: 2, hint: "Did you mean 'columns'? Known: columns, condition" },
  ],
  ['an empty list', { 'models/m.sql': model('\n not_null(columns := ())') }, { code: 'AUDIT', line: 3 }],
  [
    'SQL that is none',
    { 'models/m.sql': model('own'), 'audits/own.sql': 'AUDIT (name own);\n\nSELECT * FROM @this_model WHERE (' },
    { code: 'SQL_SYNTAX', file: 'audits/own.sql', line: 3 },
  ],
  [
    'a call of a standalone audit',
    { 'models/m.sql': model('own'), 'audits/own.sql': 'AUDIT (name own, standalone true);\nSELECT 1' },
    { code: 'AUDIT', file: 'models/m.sql', line: 2 },
  ],
  [
    'a standalone audit in a model',
    { 'models/m.sql': `${model('not_null(columns := x)')};\nAUDIT (name own, standalone true);\nSELECT 1` },
    { code: 'AUDIT', line: 5 },
  ],
  [
    'an audit that reads who reads its model',
    {
      'models/m.sql': model('relationship(column := x, to := s.n, to_column := x)'),
      'models/n.sql': 'MODEL (name s.n, kind VIEW);\nSELECT x FROM s.m',
    },
    { code: 'CYCLE', file: 'models/m.sql' },
  ],
  [
    'two nodes of one name',
    { 'models/m.sql': model('not_null(columns := x)'), 'audits/a.sql': 'AUDIT (name s.m, standalone true);\nSELECT 1' },
    { code: 'DUPLICATE_MODEL' },
  ],
])('%s is refused with its place', async (_, files, problem) => {
  expect(await problemsOf(files)).toMatchObject([problem])
})
