import { mkdir } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { extensionDirectory } from '../helpers/extensions.ts'
import { startHttpServer } from '../helpers/http-server.ts'
import { planForAttempts } from '../helpers/attempts.ts'
import { createHarness } from './registry-harness.ts'

const NAMES = ['httpfs', 'sqlite_scanner', 'postgres_scanner', 'ducklake', 'quack']
const CSV = 'id,city\n1,Oslo\n2,Rome\n3,Lima\n'

let directory: string

beforeAll(async () => {
  directory = await extensionDirectory(...NAMES)
}, 120_000)

describe('extensions of a connection', () => {
  test('are loaded from extension_directory, once for the instance that every lease shares', async () => {
    const { lease } = createHarness()
    const raw = { database: null, extensions: NAMES, extension_directory: directory }
    await using first = await lease('first', raw)
    await using second = await lease('second', raw)
    const loaded = `SELECT extension_name AS name, starts_with(install_path, $1) AS "isOurs"
      FROM duckdb_extensions() WHERE loaded AND install_path <> '(BUILT-IN)' ORDER BY name`
    const ours = [...NAMES].sort().map((name) => ({ name, isOurs: true }))
    expect(await first.rows(loaded, [directory])).toEqual(ours)
    expect(await second.rows(loaded, [directory])).toEqual(ours)
  })

  test('may go by their other names', async () => {
    const { lease } = createHarness()
    await using held = await lease('test', { extensions: ['sqlite'], extension_directory: directory })
    const [row] = await held.rows(`SELECT loaded FROM duckdb_extensions() WHERE extension_name = 'sqlite_scanner'`)
    expect(row).toEqual({ loaded: true })
  })

  test('that are missing are named, with where to put them', async () => {
    const { folder, lease } = createHarness()
    const repository = join(folder, 'repository')
    await mkdir(repository)
    const raw = { extensions: [{ name: 'sqlite_scanner', repository }], extension_directory: 'extensions' }
    await expect(lease('test', raw)).rejects.toMatchObject({
      code: 'DATABASE',
      message: expect.stringMatching(/^the extension 'sqlite_scanner' cannot be loaded: /),
      hint: expect.stringContaining('extension_directory'),
    })
  })
})

describe('httpfs', () => {
  test('lets a lease read a CSV file over HTTP', async () => {
    const url = await serve({ '/cities.csv': CSV })
    const { lease } = createHarness()
    await using held = await lease('test', { extensions: ['httpfs'], extension_directory: directory })
    expect(await held.rows('SELECT id, city FROM read_csv($1) ORDER BY id DESC', [`${url}/cities.csv`])).toEqual([
      { id: 3, city: 'Lima' },
      { id: 2, city: 'Rome' },
      { id: 1, city: 'Oslo' },
    ])
  })

  test('lets a model read a CSV file over HTTP', async () => {
    const url = await serve({ '/cities.csv': CSV })
    const project = await planForAttempts(
      {
        'config.yaml': `gateways:
  local:
    connection: { type: duckdb, database: w.duckdb, extensions: [httpfs], extension_directory: '${directory}' }
model_defaults: { dialect: duckdb, start: 2024-01-01, cron: '@daily' }
`,
        'models/cities.sql': `MODEL (name a.cities, kind FULL);\nSELECT id, city FROM read_csv('${url}/cities.csv')\n`,
      },
      '2024-01-03T00:00:00Z',
    )
    const outcome = await project.attempt(project.step('a.cities')).outcome
    expect(outcome).toMatchObject({ rows: 3 })
  })
})

/** A server of files by path, with the HEAD and Range requests that DuckDB makes. @returns its address. */
async function serve(files: Record<string, string>): Promise<string> {
  const url = await startHttpServer((request, response) => answer(files, request, response))
  return url.slice(0, -1)
}

function answer(files: Record<string, string>, request: IncomingMessage, response: ServerResponse): void {
  const file = files[request.url ?? '']
  if (file === undefined) {
    response.writeHead(404).end()
    return
  }
  const body = Buffer.from(file)
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? []
  const start = Number(first ?? 0)
  const end = last === undefined || last === '' ? body.length - 1 : Math.min(Number(last), body.length - 1)
  const part = body.subarray(start, end + 1)
  const range = first === undefined ? {} : { 'Content-Range': `bytes ${start}-${end}/${body.length}` }
  response.writeHead(first === undefined ? 200 : 206, {
    'Accept-Ranges': 'bytes',
    'Content-Length': part.length,
    ...range,
  })
  response.end(request.method === 'HEAD' ? undefined : part)
}
