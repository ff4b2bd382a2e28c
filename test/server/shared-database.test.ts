/** What a build does in a database that is not its own alone: other projects, strangers, a newer Millrace. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openProject } from '../helpers/built-project.ts'
import { runCli } from '../helpers/cli.ts'
import { CONFIG, createProject, query, writeFiles } from '../helpers/project.ts'
import { startTestServer, type TestServer } from '../helpers/worker.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.close())

const NOW = '2024-01-04'

//  a.one ──► a.two ──► a.three        a.alone
function line(generation = 1): Record<string, string> {
  return {
    'models/one.sql': `MODEL (name a.one, kind FULL);\nSELECT ${generation} AS g`,
    'models/two.sql': 'MODEL (name a.two, kind FULL);\nSELECT g FROM a.one',
    'models/three.sql': 'MODEL (name a.three, kind VIEW);\nSELECT g FROM a.two',
    'models/alone.sql': 'MODEL (name a.alone, kind FULL);\nSELECT 7 AS x',
  }
}

describe('two projects in one database', () => {
  const config = (name: string, file: string): string => `project: ${name}\n${CONFIG.replace('w.duckdb', file)}`

  test('do not touch each other', async () => {
    const north = await createProject({
      'models/m.sql': 'MODEL (name n.m, kind FULL);\nSELECT 1 AS x',
      'models/old.sql': 'MODEL (name n.old, kind FULL);\nSELECT 1 AS x',
    })
    const file = join(north, 'w.duckdb')
    await writeFiles(north, { 'config.yaml': config('north', file) })
    const south = await createProject({
      'config.yaml': config('south', file),
      'models/m.sql': 'MODEL (name s.m, kind FULL);\nSELECT x + 1 AS x FROM n.m',
    })
    const both = await openProject(server, north, { roots: [south] })
    await both.build({ project: 'north', executionTime: NOW })
    const built = await both.build({ project: 'south', executionTime: NOW })
    expect(built).toMatchObject({ project: 'south', status: 'succeeded' })
    expect(await both.names()).toEqual(['view n.m', 'view n.old', 'view s.m'])

    // At once, and with nothing left to do for either.
    const again = await Promise.all(['north', 'south'].map((project) => both.build({ project, executionTime: NOW })))
    expect(again.map(({ project, promoted, counts }) => ({ project, promoted, unchanged: counts.unchanged }))).toEqual([
      { project: 'north', promoted: false, unchanged: 2 },
      { project: 'south', promoted: false, unchanged: 1 },
    ])
    // Removing one's own models leaves the other's alone.
    await writeFiles(south, { 'models/m.sql': 'MODEL (name s.renamed, kind FULL);\nSELECT 3 AS x' })
    await both.build({ project: 'south', executionTime: NOW })
    expect(await both.names()).toEqual(['view n.m', 'view n.old', 'view s.renamed'])
  })

  test('cannot take each other’s names, with --adopt neither', async () => {
    const north = await createProject({ 'models/m.sql': 'MODEL (name a.m, kind FULL);\nSELECT 1 AS x' })
    const file = join(north, 'w.duckdb')
    await writeFiles(north, { 'config.yaml': config('north', file) })
    const south = await createProject({
      'config.yaml': config('south', file),
      'models/m.sql': 'MODEL (name a.m, kind FULL);\nSELECT 2 AS x',
    })
    const both = await openProject(server, north, { roots: [south] })
    await both.build({ project: 'north', executionTime: NOW })
    for (const adopt of [false, true]) {
      const error = await both.build({ project: 'south', executionTime: NOW, adopt }).catch((reason: unknown) => reason)
      expect(error).toMatchObject({ code: 'NAME_TAKEN', message: expect.stringContaining(`project 'north'`) })
    }
    expect(await both.names()).toEqual(['view a.m'])
    expect(await both.rows('SELECT x FROM a.m')).toEqual([{ x: 1 }])
  })
})

describe('a stranger under a model’s name', () => {
  test('is an error that lists all of them, before anything is built; --adopt renames them at the promotion', async () => {
    const project = await openProject(server, await createProject(line()))
    await project.run(
      `CREATE SCHEMA a; CREATE TABLE a.one AS SELECT 99 AS old; CREATE VIEW a.THREE AS SELECT 98 AS old; CREATE TABLE a.one__before_millrace AS SELECT 97 AS older`,
    )
    const taken = await project.build({ executionTime: NOW }).catch((reason: unknown) => reason)
    expect(taken).toMatchObject({
      code: 'PROJECT',
      problems: [
        { code: 'NAME_TAKEN', message: expect.stringContaining(`view 'a.THREE'`), file: 'models/three.sql' },
        { code: 'NAME_TAKEN', message: expect.stringContaining(`table 'a.one'`), file: 'models/one.sql' },
      ],
    })
    await expect(project.plan({ executionTime: NOW })).rejects.toMatchObject({ code: 'PROJECT' })
    expect(await project.names()).toEqual(['table a.one', 'table a.one__before_millrace', 'view a.THREE'])
    expect(await project.rows(`SELECT * FROM duckdb_tables() WHERE schema_name = 'millrace__a'`)).toEqual([])

    const report = await project.build({ executionTime: NOW, adopt: true })
    expect(report).toMatchObject({ status: 'succeeded', promoted: true })
    expect(await project.rows('SELECT g, (SELECT old FROM a.one__before_millrace_2) AS old FROM a.three')).toEqual([
      { g: 1, old: 99 },
    ])
    expect(
      await project.rows('SELECT older, (SELECT old FROM a.THREE__before_millrace) AS old FROM a.one__before_millrace'),
    ).toEqual([{ older: 97, old: 98 }])
  })

  test('stays where it is when the build fails, with --adopt too', async () => {
    const root = await createProject({
      'models/one.sql': 'MODEL (name a.one, kind FULL);\nSELECT 1 AS x',
      'models/bad.sql': `MODEL (name a.bad, kind FULL);\nSELECT error('no luck') AS x`,
    })
    const project = await openProject(server, root)
    await project.run('CREATE SCHEMA a; CREATE TABLE a.one AS SELECT 99 AS old')
    expect((await project.build({ executionTime: NOW, adopt: true })).status).toBe('failed')
    expect(await project.names()).toEqual(['table a.one'])
    expect(await project.rows('SELECT old FROM a.one')).toEqual([{ old: 99 }])
  })
})

test('a state made by a newer version is refused with exit 2, and nothing is written', async () => {
  const root = await createProject(line())
  const project = await openProject(server, root)
  await project.build({ executionTime: NOW })
  await project.run('UPDATE millrace.schema_version SET version = 99')
  await project.stop()
  await writeFiles(root, line(2))
  const file = join(root, 'w.duckdb')
  const before = await readFile(file)

  for (const verb of ['plan', 'build']) {
    const { code, stdout, stderr } = await runCli([verb, root])
    expect({ verb, code, stdout }).toEqual({ verb, code: 2, stdout: '' })
    expect(stderr).toMatch(/error\[STATE_NEWER\].*version 99/)
    expect(stderr).not.toMatch(/^\s+at /m)
  }
  expect((await readFile(file)).equals(before)).toBe(true)
  await expect(stat(`${file}.wal`)).rejects.toMatchObject({ code: 'ENOENT' })
  expect(await query(file, 'SELECT g FROM a.one')).toEqual([{ g: 1 }])
})
