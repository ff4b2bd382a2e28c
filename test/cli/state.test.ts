import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { stateVerb } from '../../src/cli/verbs/state.ts'
import { parseConnection } from '../../src/connections/config.ts'
import type { Lease } from '../../src/connections/lease.ts'
import { connectionRegistry } from '../../src/connections/registry.ts'
import { ensureState, STATE_VERSION } from '../../src/state/schema.ts'
import { STATE_TABLES } from '../../src/state/transfer.ts'
import { runCli } from '../helpers/cli.ts'
import { createProject, query, writeFiles } from '../helpers/project.ts'
import { startScript, firstLine, exitOf } from '../helpers/tsx-script.ts'
import { errorOf, runVerb } from './run-verb.ts'

interface StateDocument {
  project: string
  file: string
  rows: Record<string, number>
  missingTables?: string[]
  missingViews?: string[]
}

const CONFIG = `project: shop
gateways: { local: { connection: { type: duckdb, database: w.duckdb } } }
model_defaults: { dialect: duckdb, start: 2024-01-01 }
`

/** What two built models leave: their tables, their views, and a row in every table of the state. */
const TABLES = `
  CREATE SCHEMA millrace__a; CREATE SCHEMA a;
  CREATE TABLE millrace__a.a__one__v1 AS SELECT 1 AS x; CREATE VIEW a.one AS SELECT * FROM millrace__a.a__one__v1;
  CREATE TABLE millrace__a.a__two__v2 AS SELECT 2 AS x; CREATE VIEW a.two AS SELECT * FROM millrace__a.a__two__v2;`

function stateRows(project: string, [v1, v2, run]: readonly [string, string, string]): string {
  return `
  INSERT INTO millrace.versions VALUES
    ('${v1}', '${project}', 'a.one', 'FULL', 'f1', 1, 'millrace__a', 'a__one__v1', TIMESTAMP '2024-01-01 10:00:00.123456'),
    ('${v2}', '${project}', 'a.two', 'INCREMENTAL_BY_TIME_RANGE', 'f2', 1, 'millrace__a', 'a__two__v2', TIMESTAMP '2024-01-01'),
    ('${v1}e', '${project}', 'a.emb', 'EMBEDDED', 'f3', 1, NULL, NULL, TIMESTAMP '2024-01-01');
  INSERT INTO millrace.definitions VALUES ('${v1}d', '${project}', 'a.one', '{"quote":"it''s \\"1\\""}');
  INSERT INTO millrace.fences VALUES ('${v1}', 9007199254740993), ('${v2}', 0), ('${v1}e', 0);
  INSERT INTO millrace.ledger VALUES
    ('${v1}', TIMESTAMP '1970-01-01', TIMESTAMP '1970-01-01', '${run}/0', ''),
    ('${v2}', TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-02', '${run}/1', ''),
    ('${v2}', TIMESTAMP '2024-01-02', TIMESTAMP '2024-01-03', '${run}/1', '');
  INSERT INTO millrace.restatements VALUES ('${v1}', TIMESTAMP '2024-01-01', TIMESTAMP '2024-01-02', NULL);
  INSERT INTO millrace.auto_restatements VALUES ('${v1}', TIMESTAMP '2024-01-01');
  INSERT INTO millrace.steps VALUES
    ('${run}/0', 'w', '${run}', 0, 'a.one', '${v1}', '{}', TIMESTAMP '2024-01-03'),
    ('${run}/1', 'w', '${run}', 1, 'a.two', '${v2}', '{}', TIMESTAMP '2024-01-03');
  INSERT INTO millrace.audit_warnings VALUES ('${run}/1', '[]');
  INSERT INTO millrace.failures VALUES ('${run}/2', 'w', '${run}', '{}');
  INSERT INTO millrace.environments VALUES ('${project}', 'prod', 3, 'w', TIMESTAMP '2024-01-03');
  INSERT INTO millrace.environment_models VALUES
    ('${project}', 'prod', 'a.one', '${v1}', 'm1', 'a', 'one', NULL), ('${project}', 'prod', 'a.two', '${v2}', 'm2', 'a', 'two', NULL),
    ('${project}', 'prod', 'a.emb', '${v1}e', 'm3', NULL, NULL, NULL);
  INSERT INTO millrace.running_builds VALUES ('${project}', 'prod', 'w', '${run}', TIMESTAMP '2024-01-03');
  INSERT INTO millrace.builds VALUES ('${run}', 'w', '${project}', 'prod', 'running', false, TIMESTAMP '2024-01-03', NULL, '[]', 'null', '{}');
  INSERT INTO millrace.plan_slices VALUES ('${run}', 0, '[]');
  INSERT INTO millrace.build_queue VALUES ('${project}', 'prod', 1, 'waiting', 'waiting-${run}', TIMESTAMP '2024-01-03');
  INSERT INTO millrace.build_models VALUES ('${run}', 0, 'a.one', '{}');`
}

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-state-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function withState(root: string, work: (lease: Lease) => Promise<void>): Promise<void> {
  const owner = connectionRegistry().attach('test')
  try {
    const config = parseConnection({ type: 'duckdb', database: 'w.duckdb' }, { root, env: {} })
    await using lease = await connectionRegistry().lease(config, { holder: 'test' })
    await ensureState(lease)
    await work(lease)
  } finally {
    await owner.detach()
  }
}

/** A project whose database holds its own state and another project's. */
async function createBuilt(): Promise<string> {
  const root = await createProject({ 'config.yaml': CONFIG })
  await withState(root, (lease) =>
    lease.run(`${TABLES} ${stateRows('shop', ['v1', 'v2', 'r1'])} ${stateRows('other', ['o1', 'o2', 'r2'])}`),
  )
  return root
}

async function exportOf(root: string, name = 'state.json'): Promise<Record<string, unknown>> {
  const file = join(folder, name)
  await runVerb(stateVerb, root, ['export', file])
  return JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
}

describe('state export', () => {
  test('writes all rows of the project and of no other', async () => {
    const file = join(folder, 'state.json')
    const { code, document, text } = await runVerb<StateDocument>(stateVerb, await createBuilt(), ['export', file])
    expect(code).toBe(0)
    expect(document).toMatchObject({ project: 'shop', file, stateVersion: STATE_VERSION })
    expect(document.rows).toEqual({
      versions: 3,
      definitions: 1,
      fences: 3,
      ledger: 3,
      restatements: 1,
      auto_restatements: 1,
      steps: 2,
      audit_warnings: 1,
      failures: 1,
      environments: 1,
      environment_models: 3,
      builds: 1,
      build_models: 1,
    })
    expect(text).toContain(file)
    const written = JSON.parse(await readFile(file, 'utf8')) as { tables: Record<string, Record<string, unknown>[]> }
    expect(written).toMatchObject({
      format: 'millrace-state',
      formatVersion: 1,
      stateVersion: STATE_VERSION,
      project: 'shop',
    })
    expect(written.tables['versions']?.map(({ version }) => version)).toEqual(['v1', 'v1e', 'v2'])
    expect(JSON.stringify(written)).not.toContain('other')
    expect(await readdir(folder)).toEqual(['state.json'])
  })

  test('knows every table of the state but those that no file should carry', async () => {
    const root = await createBuilt()
    const rows = await query(
      join(root, 'w.duckdb'),
      "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'millrace'",
    )
    const names = rows.map(({ table_name }) => String(table_name))
    const left = names.filter((name) => !STATE_TABLES.includes(name))
    expect(left.sort()).toEqual([
      'build_queue',
      'plan_slices',
      'promotion_journal',
      'promotion_lock',
      'running_builds',
      'schema_version',
    ])
  })

  test('without a state it is an error, and no database is made', async () => {
    const root = await createProject({ 'config.yaml': CONFIG })
    const error = await errorOf(runVerb(stateVerb, root, ['export', join(folder, 's.json')]))
    expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining('there is none') })
    expect(existsSync(join(root, 'w.duckdb'))).toBe(false)
    expect(await readdir(folder)).toEqual([])
  })

  test('a state of other projects only is none', async () => {
    const root = await createBuilt()
    await writeFiles(root, { 'config.yaml': CONFIG.replace('project: shop', 'project: third') })
    expect(await errorOf(runVerb(stateVerb, root, ['export', join(folder, 's.json')]))).toMatchObject({ code: 'USAGE' })
  })

  test('a file that is there is replaced as a whole; one that cannot be written is an error', async () => {
    const root = await createBuilt()
    const error = await errorOf(runVerb(stateVerb, root, ['export', join(folder, 'no', 'such', 'folder.json')]))
    expect(error).toMatchObject({ code: 'FILE', message: expect.stringContaining('cannot be written') })
    await writeFile(join(folder, 'dir.json'), 'old')
    await exportOf(root, 'dir.json')
    expect(await readFile(join(folder, 'dir.json'), 'utf8')).toMatch(/^\{\n {2}"format": "millrace-state"/)
  })

  test('a broken model does not stand in the way', async () => {
    const root = await createBuilt()
    await writeFiles(root, { 'models/broken.sql': 'MODEL (nam x);\nSELEC' })
    expect(await exportOf(root)).toMatchObject({ project: 'shop' })
  })
})

describe('state import', () => {
  test('into a database with the same tables, brings back exactly what was exported', async () => {
    const root = await createBuilt()
    const before = await exportOf(root)
    await query(join(root, 'w.duckdb'), 'DROP SCHEMA millrace CASCADE')
    const { code, document, said } = await runVerb<StateDocument>(stateVerb, root, [
      'import',
      join(folder, 'state.json'),
    ])
    expect({ code, said }).toEqual({ code: 0, said: [] })
    expect(document).toMatchObject({ missingTables: [], missingViews: [], rows: { ledger: 3, fences: 3 } })
    const after = await exportOf(root, 'again.json')
    expect({ ...after, exportedAt: null }).toEqual({ ...before, exportedAt: null })
  })

  test('beside the state of another project leaves that as it is', async () => {
    const root = await createBuilt()
    await exportOf(root)
    const copy = await createProject({ 'config.yaml': CONFIG })
    await withState(copy, (lease) => lease.run(`${TABLES} ${stateRows('other', ['o1', 'o2', 'r2'])}`))
    await runVerb(stateVerb, copy, ['import', join(folder, 'state.json')])
    const rows = await query(
      join(copy, 'w.duckdb'),
      'SELECT project, count(*)::INT AS n FROM millrace.versions GROUP BY ALL ORDER BY ALL',
    )
    expect(rows).toEqual([
      { project: 'other', n: 3 },
      { project: 'shop', n: 3 },
    ])
  })

  test('what is not in the database counts as not built, and is named', async () => {
    await exportOf(await createBuilt())
    const root = await createProject({ 'config.yaml': CONFIG })
    await query(
      join(root, 'w.duckdb'),
      'CREATE SCHEMA millrace__a; CREATE TABLE millrace__a.a__one__v1 AS SELECT 1 AS x',
    )
    const { document, said } = await runVerb<StateDocument>(stateVerb, root, ['import', join(folder, 'state.json')])
    expect(document.missingTables).toEqual(['millrace__a.a__two__v2'])
    expect(document.missingViews?.toSorted()).toEqual(['a.one', 'a.two'])
    expect(said.join('\n')).toMatch(/millrace__a\.a__two__v2[\s\S]*a\.one/)
    const file = join(root, 'w.duckdb')
    expect(await query(file, 'SELECT DISTINCT version FROM millrace.ledger')).toEqual([{ version: 'v1' }])
    expect(await query(file, 'SELECT model FROM millrace.environment_models')).toEqual([{ model: 'a.emb' }])
  })

  test('over a state of the same project is refused', async () => {
    const root = await createBuilt()
    const before = await exportOf(root)
    const error = await errorOf(runVerb(stateVerb, root, ['import', join(folder, 'state.json')]))
    expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining("'shop'") })
    expect({ ...(await exportOf(root, 'after.json')), exportedAt: null }).toEqual({ ...before, exportedAt: null })
  })

  test('of another project is refused', async () => {
    await exportOf(await createBuilt())
    const root = await createProject({ 'config.yaml': CONFIG.replace('project: shop', 'project: renamed') })
    const error = await errorOf(runVerb(stateVerb, root, ['import', join(folder, 'state.json')]))
    expect(error).toMatchObject({ code: 'USAGE', hint: expect.stringContaining('project: shop') })
  })

  test.each([
    ['a newer state', { stateVersion: STATE_VERSION + 1 }, { code: 'STATE_NEWER' }],
    ['a newer format', { formatVersion: 2 }, { code: 'STATE_NEWER' }],
    ['another format', { format: 'something' }, { code: 'FILE' }],
    ['a table nobody knows', { tables: { nope: [] } }, { code: 'FILE', message: expect.stringContaining('nope') }],
    [
      'a row without its columns',
      { tables: { fences: [{ version: 'v' }] } },
      { code: 'FILE', message: expect.stringContaining('fences') },
    ],
    ['a value of the wrong type', { tables: { fences: [{ version: 'v', steps: 'many' }] } }, { code: 'FILE' }],
    [
      'one row twice',
      {
        tables: {
          fences: [
            { version: 'v', steps: 1 },
            { version: 'v', steps: 1 },
          ],
        },
      },
      { code: 'FILE' },
    ],
    ['a nested value', { tables: { fences: [{ version: [], steps: 1 }] } }, { code: 'FILE' }],
  ])('%s is refused and nothing is written', async (_, change, expected) => {
    const good = {
      format: 'millrace-state',
      formatVersion: 1,
      stateVersion: STATE_VERSION,
      project: 'shop',
      exportedAt: '',
    }
    const environments = [
      { project: 'shop', environment: 'prod', revision: 1, promoted_by: 'w', promoted_at: '2024-01-01' },
    ]
    const content = { ...good, tables: { environments }, ...change }
    if ('tables' in change && !('nope' in change.tables))
      content.tables = { environments, ...change.tables } as typeof content.tables
    await writeFile(join(folder, 's.json'), JSON.stringify(content))
    const root = await createProject({ 'config.yaml': CONFIG })
    expect(await errorOf(runVerb(stateVerb, root, ['import', join(folder, 's.json')]))).toMatchObject(expected)
    const file = join(root, 'w.duckdb')
    if (!existsSync(file)) return
    const [row] = await query(file, 'SELECT count(*)::INT AS n FROM millrace.environments')
    expect(row).toEqual({ n: 0 })
  })

  test.each([
    ['no JSON', '{'],
    ['no object', '[]'],
  ])('%s is no exported state', async (_, text) => {
    await writeFile(join(folder, 's.json'), text)
    const root = await createProject({ 'config.yaml': CONFIG })
    expect(await errorOf(runVerb(stateVerb, root, ['import', join(folder, 's.json')]))).toMatchObject({ code: 'FILE' })
    expect(await errorOf(runVerb(stateVerb, root, ['import', join(folder, 'none.json')]))).toMatchObject({
      code: 'FILE',
    })
    expect(existsSync(join(root, 'w.duckdb'))).toBe(false)
  })

  test('a database that a newer Millrace wrote is left alone', async () => {
    await exportOf(await createBuilt())
    const root = await createProject({ 'config.yaml': CONFIG })
    await withState(root, (lease) => lease.run('UPDATE millrace.schema_version SET version = 99'))
    for (const action of ['import', 'export']) {
      const error = await errorOf(runVerb(stateVerb, root, [action, join(folder, 'state.json')]))
      expect(error.code).toBe('STATE_NEWER')
    }
  })
})

test('an action that is none is a usage error', async () => {
  const root = await createProject({ 'config.yaml': CONFIG })
  const error = await errorOf(runVerb(stateVerb, root, ['exprot', 's.json']))
  expect(error).toMatchObject({ code: 'USAGE', hint: "Did you mean 'export'?" })
})

test('a database that another process holds is waited for, naming the process', async () => {
  const root = await createBuilt()
  const holder = await startScript(
    folder,
    `import { DuckDBInstance } from '${import.meta.resolve('@duckdb/node-api')}'
     const instance = await DuckDBInstance.create(${JSON.stringify(join(root, 'w.duckdb'))})
     console.log(JSON.stringify(process.pid))
     process.once('SIGTERM', () => { instance.closeSync(); process.exit(0) })
     setInterval(() => {}, 1000)`,
  )
  try {
    const pid = await firstLine<number>(holder)
    const file = join(folder, 's.json')
    const error = await errorOf(runVerb(stateVerb, root, ['export', file, '--lock-timeout', '0']))
    expect(error).toMatchObject({ code: 'DATABASE_LOCKED', message: expect.stringContaining(`process ${pid}`) })
    const { code, said } = await runVerb(stateVerb, root, ['export', file, '--lock-timeout', '30'], {
      onSay: () => holder.kill('SIGTERM'),
    })
    expect(code).toBe(0)
    expect(said[0]).toContain(`process ${pid}`)
  } finally {
    holder.kill('SIGKILL')
    await exitOf(holder)
  }
})

test('as a user runs it: the process ends, and standard output is one document', async () => {
  const root = await createBuilt()
  const file = join(folder, 'user.json')
  const done = await runCli(['state', root, 'export', file, '--json'], { HOME: root })
  expect(done).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(done.stdout)).toMatchObject({ project: 'shop', file })
  const refused = await runCli(['state', 'import', file, '--project', root], { HOME: root })
  expect(refused).toMatchObject({ code: 2, stdout: '' })
  expect(refused.stderr).toMatch(/^error\[USAGE\]: /)
})
