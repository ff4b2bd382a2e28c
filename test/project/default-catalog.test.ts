import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { defaultCatalogOf } from '../../src/project/default-catalog.ts'
import { createHarness } from '../connections/registry-harness.ts'
import { extensionDirectory } from '../helpers/extensions.ts'
import { startQuackServer } from '../helpers/quack-server.ts'

let extensions = ''
beforeAll(async () => {
  extensions = await extensionDirectory('ducklake', 'quack', 'httpfs')
}, 240_000)

test.each([
  [{ type: 'duckdb', database: undefined }, 'memory'],
  [{ type: 'duckdb', database: ':memory:' }, 'memory'],
  [{ type: 'duckdb', database: ':memory:mine' }, 'memory'],
  [{ type: 'duckdb', database: 'Some.Where.duckdb' }, 'some'],
  [{ type: 'duckdb', database: 'duckdb:in/a/folder.db' }, 'folder'],
  [{ type: 'duckdb', database: '', catalogs: { ' "Second" ': 'b.db', a: 'a.db' } }, 'second'],
  [{ type: 'duckdb', database: ':memory:', catalogs: { b: 'b.db' } }, 'memory'],
  [{ type: 'ducklake', database: undefined, catalog: 'some.ducklake' }, 'lake'],
  [{ type: 'ducklake', database: 'Sea', catalog: 'some.ducklake' }, 'sea'],
])('of %j is what DuckDB answers: %s', async (written, name) => {
  const harness = createHarness()
  await mkdir(join(harness.folder, 'in/a'), { recursive: true })
  await using lease = await harness.lease('test', { extension_directory: extensions, ...written })
  const [row] = await lease.rows<{ name: string }>('SELECT lower(current_database()) AS name')
  expect(row?.name).toBe(name)
  expect(defaultCatalogOf(written)).toBe(name)
})

test('of a Quack server is its database if one is named, and else the server’s to decide', async () => {
  const harness = createHarness()
  const server = await startQuackServer({ file: join(harness.folder, 'q.duckdb'), token: 'secret token' })
  const written = { type: 'quack', uri: server.uri, token: 'secret token', extension_directory: server.extensions }
  await using lease = await harness.lease('test', { ...written, database: 'q' })
  expect(lease.database.catalog).toBe(defaultCatalogOf({ ...written, database: 'Q' }))
  expect(defaultCatalogOf({ ...written, uri: `${server.uri}?disable_ssl=true&database=Q` })).toBe('q')
  expect(defaultCatalogOf(written)).toBe('(default)')
})

test('of MotherDuck is its database', () => {
  expect(defaultCatalogOf({ type: 'motherduck', database: 'md:Analytics?attach_mode=single' })).toBe('analytics')
  expect(defaultCatalogOf({ type: 'motherduck' })).toBe('memory')
})
