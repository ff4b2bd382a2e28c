/** `doctor` opens every gateway for real: it authenticates, writes a table and drops it, and leaves everything as it was. */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import type { Check } from '../../src/cli/doctor/check.ts'
import { doctorVerb } from '../../src/cli/verbs/doctor.ts'
import { parseConnection } from '../../src/connections/config.ts'
import { createConnectionRegistry } from '../../src/connections/registry.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { createProject, query, writeFiles } from '../helpers/project.ts'
import { startQuackServer } from '../helpers/quack-server.ts'
import { runVerb } from './run-verb.ts'

const MODEL = { 'models/a.sql': 'MODEL (name a.b);\nSELECT 1 AS one' }
const CAN_BE_WRITTEN = { status: 'ok', message: expect.stringContaining('opens and can be written to') as string }

let extensions = ''
beforeAll(async () => {
  extensions = await extensionDirectory('ducklake', 'quack', 'httpfs')
}, 240_000)

async function diagnose(root: string, env: NodeJS.ProcessEnv = {}, words: string[] = []) {
  const result = await runVerb<{ checks: Check[] }>(doctorVerb, root, words, {
    env: { UV_THREADPOOL_SIZE: '64', ...env },
  })
  return { ...result, checks: new Map(result.document.checks.map((check) => [check.name, check])) }
}

/** The first gateway is the default. */
function configOf(gateways: Record<string, string>): string {
  const lines = Object.entries(gateways).map(([name, connection]) => `  ${name}: { connection: ${connection} }`)
  return `gateways:\n${lines.join('\n')}\nmodel_defaults: { start: 2024-01-01 }\n`
}

test('a lake is written to when it is there, and never made', async () => {
  const root = await createProject({
    ...MODEL,
    'config.yaml': configOf({ lake: `{ type: ducklake, catalog: lake.ducklake, extension_directory: ${extensions} }` }),
  })
  const before = await diagnose(root)
  expect(before.checks.get('database')).toMatchObject({
    status: 'ok',
    message: expect.stringContaining('lake.ducklake is not there yet; the first build makes it'),
  })
  expect(before.code).toBe(0)
  expect((await readdir(root)).filter((name) => name.startsWith('lake'))).toEqual([])

  const registry = createConnectionRegistry()
  const owner = registry.attach('test')
  const config = parseConnection(
    { type: 'ducklake', catalog: 'lake.ducklake', extension_directory: extensions },
    { root, env: {} },
  )
  {
    await using lease = await registry.lease(config, { holder: 'test' })
    await lease.run('CREATE TABLE mine AS SELECT 1 AS x')
  }
  await owner.detach()

  const after = await diagnose(root)
  expect(after.checks.get('database')).toMatchObject(CAN_BE_WRITTEN)
  expect(after.checks.get('state')).toMatchObject({ status: 'ok', message: expect.stringContaining('none yet') })
  const again = registry.attach('test')
  {
    await using lease = await registry.lease(config, { holder: 'test' })
    expect(await lease.rows("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'")).toEqual([
      { table_name: 'mine' },
    ])
  }
  await again.detach()
}, 60_000)

test('a Quack server is written to with the token, which is never printed; one that it refuses fails', async () => {
  const root = await createProject(MODEL)
  const token = 'the-very-token-of-it'
  const quack = await startQuackServer({ file: join(root, 'server.duckdb'), token })
  await createConfig(root, quack.uri)
  const good = await diagnose(root, { QUACK_TOKEN: token })
  expect(good.code).toBe(0)
  expect(good.checks.get('database')).toMatchObject(CAN_BE_WRITTEN)
  expect(good.checks.get('credential server.token')).toMatchObject({ status: 'ok' })
  expect(good.text).not.toContain(token)
  expect(await quack.run("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%probe%'")).toEqual([])

  const wrong = 'some-other-token'
  const other = await createProject(MODEL)
  await createConfig(other, quack.uri)
  const refused = await diagnose(other, { QUACK_TOKEN: wrong })
  expect(refused.code).toBe(1)
  expect(refused.checks.get('database')).toMatchObject({
    status: 'fail',
    message: expect.stringContaining('refuses the token of env QUACK_TOKEN'),
  })
  expect(refused.text).not.toContain(wrong)
}, 60_000)

test('catalogs that are not there yet are not made, those that are there are attached', async () => {
  const connection = '{ type: duckdb, database: w.duckdb, catalogs: { new: new.duckdb, old: old.duckdb } }'
  const root = await createProject({ ...MODEL, 'config.yaml': configOf({ local: connection }) })
  await query(join(root, 'w.duckdb'), 'SELECT 1')
  await query(join(root, 'old.duckdb'), 'SELECT 1')
  expect((await diagnose(root)).checks.get('database')).toMatchObject(CAN_BE_WRITTEN)
  expect(existsSync(join(root, 'new.duckdb'))).toBe(false)
})

test('every gateway is checked unless one is named; what is wrong with another than the default is a warning', async () => {
  const gateways = {
    file: '{ type: duckdb, database: w.duckdb }',
    memory: '{ type: duckdb }',
    broken: '{ type: duckdb, database: missing/folder/w.duckdb }',
    wrong: '{ type: quack }',
  }
  const root = await createProject({ ...MODEL, 'config.yaml': configOf(gateways) })
  await query(join(root, 'w.duckdb'), 'SELECT 1')
  const all = await diagnose(root)
  expect(all.code).toBe(0)
  expect(all.checks.get('database')).toMatchObject(CAN_BE_WRITTEN)
  expect(all.checks.get('database memory')).toMatchObject(CAN_BE_WRITTEN)
  expect(all.checks.get('database broken')).toMatchObject({ status: 'warn' })
  expect(all.checks.get('connection wrong')).toMatchObject({ status: 'warn', message: expect.stringContaining('uri') })

  const named = await diagnose(root, {}, ['--gateway', 'broken'])
  expect(named.code).toBe(1)
  expect(named.checks.get('database')).toMatchObject({ status: 'fail' })
  expect([...named.checks.keys()].filter((name) => name.startsWith('database'))).toEqual(['database'])
})

async function createConfig(root: string, uri: string): Promise<void> {
  const connection = `{ type: quack, uri: '${uri}', token: { env: QUACK_TOKEN }, extension_directory: ${extensions} }`
  await writeFiles(root, { 'config.yaml': configOf({ server: connection }) })
}
