import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Check } from '../../src/cli/doctor/check.ts'
import { checkCredentials } from '../../src/cli/doctor/credentials.ts'
import { checkExtensions } from '../../src/cli/doctor/database.ts'
import { checkNode, checkThreads } from '../../src/cli/doctor/versions.ts'
import { doctorVerb } from '../../src/cli/verbs/doctor.ts'
import { parseConnection } from '../../src/connections/config.ts'
import { runCli } from '../helpers/cli.ts'
import { createProject, query } from '../helpers/project.ts'
import { exitOf, firstLine, startScript } from '../helpers/tsx-script.ts'
import { runVerb } from './run-verb.ts'

const MODEL = { 'models/a.sql': 'MODEL (name a.b);\nSELECT 1 AS one' }
const THREADS = { UV_THREADPOOL_SIZE: '64' }

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-doctor-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

interface Diagnosis {
  code: number
  text: string
  /** By name. */
  checks: Map<string, Check>
}

async function diagnose(root: string, env: NodeJS.ProcessEnv = {}, words: string[] = []): Promise<Diagnosis> {
  const result = await runVerb<{ checks: Check[] }>(doctorVerb, root, words, { env: { ...THREADS, ...env } })
  const { code, text, document } = result
  return { code, text, checks: new Map(document.checks.map((check) => [check.name, check])) }
}

function configWith(connection: string): string {
  return `gateways: { local: { connection: ${connection} } }\nmodel_defaults: { start: 2024-01-01 }\n`
}

async function closedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

test('a project that can be built has no failed check, and no database is made', async () => {
  const root = await createProject(MODEL)
  const { code, checks, text } = await diagnose(root)
  expect(code).toBe(0)
  expect([...checks.keys()]).toEqual([
    'millrace',
    'node',
    'duckdb',
    'temporal-sdk',
    'libuv',
    'config',
    'project',
    'credentials',
    'extensions',
    'database',
    'temporal',
  ])
  expect([...checks.values()].filter(({ status }) => status === 'fail')).toEqual([])
  expect(checks.get('database')?.message).toContain('the first build makes it')
  expect(text.split('\n')).toHaveLength(checks.size)
  expect(text).toMatch(/^ok {3}project: models: 1/m)
  expect(existsSync(join(root, 'w.duckdb'))).toBe(false)
})

test('a database that is there is opened and written to, and nothing stays in it', async () => {
  const root = await createProject(MODEL)
  await query(join(root, 'w.duckdb'), 'CREATE TABLE mine AS SELECT 1 AS x')
  const { code, checks } = await diagnose(root)
  expect(code).toBe(0)
  expect(checks.get('database')).toMatchObject({ status: 'ok', message: expect.stringContaining('can be written to') })
  expect(checks.get('state')).toMatchObject({ status: 'ok', message: expect.stringContaining('none yet') })
  expect(await query(join(root, 'w.duckdb'), 'SELECT table_name FROM duckdb_tables()')).toEqual([
    { table_name: 'mine' },
  ])
})

test('a database that cannot be written to fails', async () => {
  const connection = '{ type: duckdb, database: w.duckdb, connector_config: { access_mode: read_only } }'
  const root = await createProject({ ...MODEL, 'config.yaml': configWith(connection) })
  await query(join(root, 'w.duckdb'), 'SELECT 1')
  const { code, checks } = await diagnose(root)
  expect(code).toBe(1)
  expect(checks.get('database')).toMatchObject({ status: 'fail', message: expect.stringMatching(/read-only/i) })
})

test('a database in a folder that is not there fails', async () => {
  const root = await createProject({ ...MODEL, 'config.yaml': configWith('{ type: duckdb, database: no/w.duckdb }') })
  expect((await diagnose(root)).checks.get('database')).toMatchObject({
    status: 'fail',
    message: expect.stringContaining(join(root, 'no')),
  })
})

test('a file that is no database fails', async () => {
  const root = await createProject({
    ...MODEL,
    'w.duckdb': 'this is text, and long enough to be looked at'.repeat(100),
  })
  expect(await diagnose(root)).toMatchObject({ code: 1 })
})

test('a database that another process holds is a warning that names it', async () => {
  const root = await createProject(MODEL)
  const holder = await startScript(
    folder,
    `import { DuckDBInstance } from '${import.meta.resolve('@duckdb/node-api')}'
     globalThis.instance = await DuckDBInstance.create(${JSON.stringify(join(root, 'w.duckdb'))})
     console.log(JSON.stringify(process.pid))
     setInterval(() => {}, 1000)`,
  )
  try {
    const pid = await firstLine<number>(holder)
    const { code, checks } = await diagnose(root)
    expect(code).toBe(0)
    expect(checks.get('database')).toMatchObject({ status: 'warn', message: expect.stringContaining(`process ${pid}`) })
  } finally {
    holder.kill('SIGKILL')
    await exitOf(holder)
  }
})

test('a state of a newer version fails', async () => {
  const root = await createProject(MODEL)
  await query(
    join(root, 'w.duckdb'),
    'CREATE SCHEMA millrace; CREATE TABLE millrace.schema_version AS SELECT 99 AS version',
  )
  const { code, checks } = await diagnose(root)
  expect(code).toBe(1)
  expect(checks.get('state')).toMatchObject({ status: 'fail', hint: expect.stringContaining('upgrade') })
})

test('a wrong config and a wrong project fail with file and line; the other checks go on', async () => {
  const config = await createProject({ 'config.yaml': 'gatewys: {}\n' })
  const first = await diagnose(config)
  expect(first.code).toBe(1)
  expect(first.checks.get('config')).toMatchObject({
    status: 'fail',
    message: expect.stringContaining('config.yaml:1'),
  })
  expect(first.checks.has('temporal')).toBe(true)

  const project = await createProject({
    'models/a.sql': 'MODEL (nam a);\nSELECT 1',
    'models/b.sql': 'MODEL (name b);\nSELEC 1',
  })
  const second = await diagnose(project)
  expect(second.code).toBe(1)
  expect(second.checks.get('project')).toMatchObject({
    status: 'fail',
    message: expect.stringMatching(/models\/a\.sql:1.*models\/b\.sql:2/),
  })
  expect(second.checks.get('database')?.status).toBe('ok')
})

test('--gateway chooses the connection; one that is none fails', async () => {
  const config =
    'gateways:\n  one: { connection: { type: duckdb } }\n  two: { connection: { type: quack, uri: "quack:h:1" } }\nmodel_defaults: { start: 2024-01-01 }\n'
  const root = await createProject({ ...MODEL, 'config.yaml': config })
  expect((await diagnose(root)).checks.get('database')).toMatchObject({ status: 'ok' })
  expect((await diagnose(root, {}, ['--gateway', 'two'])).checks.get('database')).toMatchObject({ status: 'fail' })
  expect(await diagnose(root, {}, ['--gateway', 'tow'])).toMatchObject({ code: 1 })
})

test('no Temporal server is a warning that says what build would do', async () => {
  const root = await createProject(MODEL)
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'temporal'), '#!/bin/sh\n', { mode: 0o755 })
  const temporal = (await diagnose(root, { PATH: bin })).checks.get('temporal')
  expect(temporal).toMatchObject({
    status: 'warn',
    message: expect.stringContaining('`build` would start an embedded one'),
  })
  expect(temporal?.hint).toContain(join(bin, 'temporal'))
})

test('a Temporal server that was named and does not answer fails: build would not replace it', async () => {
  const root = await createProject(MODEL)
  const address = `127.0.0.1:${await closedPort()}`
  const { code, checks } = await diagnose(root, { TEMPORAL_ADDRESS: address })
  expect(code).toBe(1)
  expect(checks.get('temporal')).toMatchObject({ status: 'fail', message: expect.stringContaining(address) })
}, 30_000)

describe('credentials', () => {
  const check = (connection: unknown, env: Record<string, string> = {}): Check[] =>
    checkCredentials(connection, 'cloud', { root: folder, env }).checks

  test('a connection without any has no check', () => {
    expect(check({ type: 'duckdb', database: 'w.duckdb', connector_config: { threads: 4 } })).toEqual([])
  })

  test('an environment variable must be set', () => {
    const token = { type: 'motherduck', token: { env: 'MD_TOKEN' } }
    expect(check(token, { MD_TOKEN: 'x' })).toMatchObject([{ name: 'credential cloud.token', status: 'ok' }])
    expect(check(token)).toMatchObject([{ status: 'fail', message: 'environment variable MD_TOKEN is not set' }])
    expect(check(token, { MD_TOKEN: '' })).toMatchObject([{ status: 'fail' }])
  })

  test('a file must be there, relative to the project', async () => {
    await writeFile(join(folder, 'token.txt'), 'x')
    expect(check({ token: { file: 'token.txt' } })).toMatchObject([{ status: 'ok' }])
    expect(check({ token: { file: 'tokn.txt' } })).toMatchObject([{ status: 'fail' }])
    expect(check({ token: { file: '.' } })).toMatchObject([{ status: 'fail' }])
    expect(check({ token: { file: '~/no-such-token' } })).toMatchObject([
      { status: 'fail', message: expect.stringContaining(join(homedir(), 'no-such-token')) },
    ])
  })

  test('a command must be on this machine; it is not run', async () => {
    await writeFile(join(folder, 'get-token'), `#!/bin/sh\ntouch ${join(folder, 'was-run')}\n`, { mode: 0o755 })
    expect(check({ token: { command: ['get-token', 'x'] } }, { PATH: folder })).toMatchObject([{ status: 'ok' }])
    expect(check({ token: { command: ['./get-token'] } })).toMatchObject([{ status: 'ok' }])
    expect(check({ token: { command: ['get-token'] } }, { PATH: tmpdir() })).toMatchObject([{ status: 'fail' }])
    expect(check({ token: { command: 'get-token' } })).toMatchObject([{ status: 'fail' }])
    expect(existsSync(join(folder, 'was-run'))).toBe(false)
  })

  test('those within others are found: oauth2, motherduck, lists of secrets', () => {
    const oauth2 = { token_url: 'https://x', client_id: 'me', client_secret: { env: 'A' } }
    const names = check({
      token: { oauth2 },
      admin: { motherduck: { username: 'u', admin_token: { env: 'B' }, ttl: 60 } },
      secrets: [{ type: 's3', key_id: { env: 'C' }, secret: { file: 'd' } }],
    }).map(({ name }) => name)
    expect(names).toEqual([
      'credential cloud.token.client_secret',
      'credential cloud.admin.admin_token',
      'credential cloud.secrets.0.key_id',
      'credential cloud.secrets.0.secret',
    ])
  })

  test('plain text is a warning', () => {
    expect(check({ token: 'abcdefgh' })).toMatchObject([
      { status: 'warn', message: expect.not.stringContaining('abcdefgh') },
    ])
  })

  test('no secret is printed, wherever it stands', async () => {
    const connection = `{ type: quack, uri: "quack:localhost:1", token: "{{ env_var('MD_TOKEN') }}", secrets: [{ type: s3, secret: plain-secret-text }] }`
    const root = await createProject({ ...MODEL, 'config.yaml': configWith(connection) })
    const secret = 'very-secret-token'
    const { text, checks, code } = await diagnose(root, { MD_TOKEN: secret })
    expect(code).toBe(1)
    expect(checks.get('credential local.token')).toMatchObject({ status: 'ok' })
    expect(checks.get('credential local.secrets.0.secret')).toMatchObject({ status: 'warn' })
    expect(text + JSON.stringify([...checks.values()])).not.toMatch(new RegExp(`${secret}|plain-secret-text`))
  })
})

describe('extensions', () => {
  const check = (raw: Record<string, unknown>): Promise<Check> =>
    checkExtensions(parseConnection({ type: 'duckdb', ...raw }, { root: folder, env: {} }))

  test('without a folder of their own DuckDB finds them', async () => {
    expect(await check({ extensions: ['json'] })).toMatchObject({
      status: 'ok',
      message: expect.stringContaining('json'),
    })
  })

  test('the folder must be there when an extension is needed', async () => {
    expect(await check({ extensions: ['tpch'], extension_directory: 'ext' })).toMatchObject({ status: 'fail' })
    expect(await check({ extension_directory: 'ext' })).toMatchObject({ status: 'warn' })
  })

  test('an extension that is not in the folder of this version and platform is named', async () => {
    await mkdir(join(folder, 'ext'))
    const missing = await check({ extensions: ['tpch'], extension_directory: 'ext' })
    expect(missing).toMatchObject({ status: 'warn', message: expect.stringMatching(/ext\/v1\.5\.5\/\w+ has no tpch$/) })
    const place = missing.message.replace(' has no tpch', '')
    await mkdir(place, { recursive: true })
    await writeFile(join(place, 'tpch.duckdb_extension'), '')
    expect(await check({ extensions: ['tpch'], extension_directory: 'ext' })).toMatchObject({ status: 'ok' })
  })
})

test.each([
  ['20.3.0', 'ok'],
  ['20.2.9', 'fail'],
  ['18.20.0', 'fail'],
  ['24.0.0', 'ok'],
])('node %s is %s', (version, status) => {
  expect(checkNode(version).status).toBe(status)
})

test.each([
  ['64', 'ok'],
  ['4', 'warn'],
  ['many', 'warn'],
  [undefined, 'warn'],
])('UV_THREADPOOL_SIZE %s is %s', (setting, status) => {
  expect(checkThreads(setting).status).toBe(status)
})

test('as a user runs it: one document, exit code 1 when something fails, the process ends', async () => {
  const root = await createProject(MODEL)
  const good = await runCli(['doctor', root, '--json'], { HOME: root })
  expect(good.code).toBe(0)
  expect(JSON.parse(good.stdout)).toMatchObject({
    checks: expect.arrayContaining([expect.objectContaining({ name: 'libuv', status: 'ok' })]),
  })
  const bad = await runCli(['doctor', folder], { HOME: root })
  expect(bad).toMatchObject({ code: 1, stdout: expect.stringMatching(/^fail config: .* → /m) })
})
