import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { initVerb } from '../../src/cli/verbs/init.ts'
import { testVerb } from '../../src/cli/verbs/test.ts'
import { loadProject } from '../../src/project/load.ts'
import type { TestRun } from '../../src/unit-tests/run-tests.ts'
import { createSqlParser } from '../../src/project/sql-parser.ts'
import { runCli } from '../helpers/cli.ts'
import { errorOf, runVerb } from './run-verb.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-init-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function load(root: string) {
  const parser = createSqlParser()
  try {
    return await loadProject(root, { env: { HOME: folder }, parser })
  } finally {
    await parser.close()
  }
}

test('a new project loads without problems or notices, and every model of it can be built', async () => {
  const root = join(folder, 'bike shop: #1')
  const { code, document } = await runVerb<{ project: string; folder: string; files: string[] }>(initVerb, folder, [
    root,
  ])
  expect(code).toBe(0)
  expect(document).toMatchObject({ project: 'bike shop: #1', folder: root })
  const project = await load(root)
  expect(project).toMatchObject({ name: 'bike shop: #1', notices: [] })
  expect(project.models.map(({ kind }) => kind.name).sort()).toEqual([
    'FULL',
    'INCREMENTAL_BY_TIME_RANGE',
    'SEED',
    'VIEW',
  ])
  expect(project.models.every(({ enabled }) => enabled)).toBe(true)
  expect([...project.audits.keys()]).toEqual(['not_negative'])
  expect(project.models.some(({ audits }) => audits.some(({ name }) => name === 'not_negative'))).toBe(true)
})

test('the unit test of a new project passes', async () => {
  await runVerb(initVerb, folder)
  const { code, document } = await runVerb<TestRun>(testVerb, folder)
  expect({ code, document }).toMatchObject({ code: 0, document: { passed: 1, failed: 0 } })
})

test('the files are those it lists; what a build leaves is ignored by git', async () => {
  const { document } = await runVerb<{ files: string[] }>(initVerb, folder)
  const found = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  expect(files.sort()).toEqual(document.files.map((file) => join(folder, file)).sort())
  expect((await readFile(join(folder, '.gitignore'), 'utf8')).split('\n')).toEqual(
    expect.arrayContaining(['.millrace/', '*.duckdb*']),
  )
  expect((await readFile(join(folder, 'README.md'), 'utf8')).trim().split('\n').length).toBeLessThanOrEqual(16)
})

test('files that are there are all listed, stay as they are, and nothing else is written', async () => {
  await mkdir(join(folder, 'seeds'))
  await writeFile(join(folder, 'README.md'), 'mine')
  await writeFile(join(folder, 'seeds', 'rides.csv'), 'mine')
  await symlink(join(folder, 'nowhere'), join(folder, 'config.yaml'))
  const error = await errorOf(runVerb(initVerb, folder))
  expect(error).toMatchObject({
    code: 'USAGE',
    message: expect.stringMatching(/config\.yaml, README\.md, seeds\/rides\.csv$/),
  })
  expect((await readdir(folder)).sort()).toEqual(['README.md', 'config.yaml', 'seeds'])
  expect(await readFile(join(folder, 'README.md'), 'utf8')).toBe('mine')
})

test('a folder with another spelling of the config is a project already', async () => {
  await writeFile(join(folder, 'config.yml'), '')
  expect(await errorOf(runVerb(initVerb, folder))).toMatchObject({
    code: 'USAGE',
    message: expect.stringMatching(/config\.yml$/),
  })
})

test('when a file cannot be written none is kept', async () => {
  await writeFile(join(folder, 'audits'), 'a file where the folder goes')
  expect(await errorOf(runVerb(initVerb, folder))).toMatchObject({ code: 'FILE' })
  const left = await readdir(folder, { recursive: true, withFileTypes: true })
  expect(left.filter((entry) => entry.isFile()).map(({ name }) => name)).toEqual(['audits'])
})

test('as a user runs it: init, then models, then init again', async () => {
  const root = join(folder, 'warehouse')
  const made = await runCli(['init', root, '--json'], { HOME: folder })
  expect(made).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(made.stdout)).toMatchObject({ project: 'warehouse', folder: root })
  const models = await runCli(['models', root, '--json'], { HOME: folder })
  expect(models).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(models.stdout)).toHaveLength(4)
  expect(await runCli(['init', root], { HOME: folder })).toMatchObject({ code: 2, stdout: '' })
})
