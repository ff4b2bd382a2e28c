/** The examples of docs/connections.md: each is a connection, and those that need nobody else are opened. */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { parseConnection } from '../../src/connections/config.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { createHarness } from './registry-harness.ts'

type Raw = Record<string, unknown>

const page = readFileSync(new URL('../../docs/connections.md', import.meta.url), 'utf8')
const documents = [...page.matchAll(/```yaml\n([^`]*)```/g)].map(([, text = '']) => parse(text) as Raw)
const gateways = (documents.find(({ gateways }) => gateways !== undefined)?.['gateways'] ?? {}) as Record<
  string,
  { connection: Raw }
>

function connectionsOf(document: Raw): Raw[] {
  const { connection, secrets } = document
  if (connection !== undefined) return [connection as Raw]
  if (secrets !== undefined) return [{ type: 'duckdb', secrets }]
  return Object.values((document['gateways'] ?? {}) as typeof gateways).map((gateway) => gateway.connection)
}

test('each example is a connection, and every type has one', () => {
  const types = documents.flatMap(connectionsOf).map((raw) => parseConnection(raw, { root: '/project', env: {} }).type)
  expect([...new Set(types)].sort()).toEqual(['duckdb', 'ducklake', 'motherduck', 'quack'])
  expect(types.length).toBeGreaterThanOrEqual(11)
})

test('each key of a pool is described', () => {
  const pool = {
    strategy: 'single',
    writers: 'one',
    idle: '1s',
    max_age: '1h',
    lease_timeout: '1m',
    statement_timeout: '1h',
  }
  parseConnection({ type: 'duckdb', pool }, { root: '/project', env: {} })
  for (const key of Object.keys(pool)) expect(page).toContain(`| \`${key}\` |`)
})

describe('opened as it is written', () => {
  let extensions = ''
  beforeAll(async () => {
    extensions = await extensionDirectory('ducklake', 'sqlite_scanner')
  }, 120_000)

  test.each(['file', 'memory', 'lake', 'sqlite_lake'])('%s', async (name) => {
    const { registry, folder } = createHarness()
    const raw = { ...gateways[name]?.connection, extension_directory: extensions }
    await using lease = await registry.lease(parseConnection(raw, { root: folder, env: {} }), { holder: 'test' })
    await lease.run('CREATE TABLE t AS SELECT 42 AS x')
    expect(await lease.rows('FROM t')).toEqual([{ x: 42 }])
  })
})
