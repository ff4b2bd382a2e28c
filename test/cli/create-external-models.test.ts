import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createExternalModelsVerb } from '../../src/cli/verbs/create-external-models.ts'
import { createProject, query, writeFiles } from '../helpers/project.ts'
import { runVerb } from './run-verb.ts'

const BY_HAND = `# tables of the loader
- name: raw.gone
  description: nobody reads it
- name: w.raw.events # the big one
  description: 'what happened'
  audits:
    - not_null: {columns: [id]}
  columns:
    ID: bigint # the key
    dropped: TEXT
    seen: TEXT
- name: raw.events
  gateway: other
  columns: {id: TEXT}
- name: raw.missing
  columns: {a: INT}
`

test('writes the columns of tables that are read and not built; what people wrote stays', async () => {
  const root = await createProject({
    'models/a.sql':
      "MODEL (name s.a); SELECT e.id, n.name, e.seen FROM raw.events e, raw.names n, raw.missing m, s.b, raw.listed, 'x.csv' x",
    'models/b.sql': 'MODEL (name s.b); SELECT 1 AS one FROM "raw"."my table", duckdb_tables()',
    'external_models.yaml': BY_HAND,
    'external_models/more.yaml': '- name: raw.listed\n',
    'x.csv': 'a\n1\n',
  })
  await query(
    join(root, 'w.duckdb'),
    `CREATE SCHEMA raw; CREATE TABLE raw.events (id BIGINT, seen TIMESTAMP, tags VARCHAR[]); CREATE VIEW raw.names AS SELECT 'x' AS name;
     CREATE TABLE raw."my table" (x DECIMAL(9, 2)); CREATE TABLE raw.listed (x INT)`,
  )
  const first = await runVerb(createExternalModelsVerb, root)
  expect(first).toMatchObject({
    code: 0,
    document: {
      file: 'external_models.yaml',
      added: ['raw.my table', 'raw.names'],
      updated: ['raw.events'],
      missing: ['raw.missing'],
    },
  })
  const text = await readFile(join(root, 'external_models.yaml'), 'utf8')
  expect(text).toBe(`# tables of the loader
- name: raw.gone
  description: nobody reads it
- name: w.raw.events # the big one
  description: 'what happened'
  audits:
    - not_null: { columns: [ id ] }
  columns:
    ID: bigint # the key
    seen: TIMESTAMP
    tags: VARCHAR[]
- name: raw.events
  gateway: other
  columns: { id: TEXT }
- name: raw.missing
  columns: { a: INT }
- name: raw."my table"
  columns:
    x: DECIMAL(9,2)
- name: raw.names
  columns:
    name: VARCHAR
`)
  const again = await runVerb(createExternalModelsVerb, root, ['--strict'])
  expect(again).toMatchObject({ code: 1, document: { added: [], updated: [], missing: ['raw.missing'] } })
  expect(await readFile(join(root, 'external_models.yaml'), 'utf8')).toBe(text)
})

test('makes the file where there is none; an entry of another gateway alone gets one beside it', async () => {
  const root = await createProject({ 'models/a.sql': 'MODEL (name s.a); SELECT x FROM raw.t' })
  await query(join(root, 'w.duckdb'), 'CREATE SCHEMA raw; CREATE TABLE raw.t (x INT)')
  expect((await runVerb(createExternalModelsVerb, root, ['--strict'])).code).toBe(0)
  const file = join(root, 'external_models.yaml')
  expect(await readFile(file, 'utf8')).toBe('- name: raw.t\n  columns:\n    x: INTEGER\n')
  await writeFiles(root, { 'external_models.yaml': '- name: raw.t\n  gateway: far\n' })
  await runVerb(createExternalModelsVerb, root)
  expect(await readFile(file, 'utf8')).toBe(
    '- name: raw.t\n  gateway: far\n- name: raw.t\n  gateway: local\n  columns:\n    x: INTEGER\n',
  )
})
