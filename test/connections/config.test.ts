import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as fc from 'fast-check'
import { parseConnection } from '../../src/connections/config.ts'
import { connectionKey } from '../../src/connections/connection-key.ts'

let root: string
beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-config-')))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const parse = (raw: Record<string, unknown>, env = {}) => parseConnection(raw, { root, env })
const key = (raw: Record<string, unknown>) => connectionKey(parse(raw))

describe('parseConnection', () => {
  test('fills defaults in and resolves the path against the project', () => {
    expect(parse({ type: 'duckdb', database: 'data/w.duckdb' })).toMatchObject({
      type: 'duckdb',
      database: join(root, 'data/w.duckdb'),
      concurrentTasks: 8,
      settings: {},
      extensions: [],
      catalogs: null,
    })
  })

  test.each([undefined, '', ':memory:'])('database %j is in memory', (database) => {
    expect(parse({ type: 'duckdb', ...(database === undefined ? {} : { database }) })).toMatchObject({ database: null })
  })

  test('~ is the home folder', () => {
    expect(parse({ database: '~/w.duckdb' }, { HOME: '/home/ann' })).toMatchObject({ database: '/home/ann/w.duckdb' })
  })

  test('an unknown key lists the known ones and suggests one', () => {
    expect(() => parse({ type: 'duckdb', databse: 'x' })).toThrow(
      expect.objectContaining({
        code: 'CONFIG',
        message: expect.stringMatching(/no key 'databse'; the known keys are .*database/),
        hint: "Did you mean 'database'?",
      }),
    )
  })

  test('a wrong value names its key', () => {
    expect(() => parse({ type: 'duckdb', concurrent_tasks: 0 })).toThrow(/connection\.concurrent_tasks/)
  })

  test('an unknown type lists the known ones', () => {
    expect(() => parse({ type: 'duckdbb' })).toThrow(
      expect.objectContaining({ message: expect.stringContaining('duckdb, motherduck, ducklake, quack') }),
    )
  })

  test('settings have one spelling: aliases, case, numbers and folders', () => {
    const config = parse({
      connector_config: { Max_Memory: '1GB', threads: 2, temp_directory: 'spill', TimeZone: 'UTC' },
    })
    expect(config.settings).toEqual({
      memory_limit: '1GB',
      threads: '2',
      temp_directory: join(root, 'spill'),
      timezone: 'UTC',
    })
  })

  test.each([
    { type: 'motherduck', database: 'analytics', token: { env: 'MOTHERDUCK_TOKEN' } },
    { type: 'ducklake', catalog: 'postgres:dbname=lake', data_path: 's3://bucket/lake' },
    { type: 'quack', uri: 'quack:localhost:9494', token: { env: 'T' } },
  ])('type $type is accepted', (raw) => {
    expect(parse(raw).type).toBe(raw.type)
  })

  test('SQLMesh keys without meaning here are accepted and named', () => {
    expect(parse({ type: 'duckdb', register_comments: false, pre_ping: true }).ignored).toEqual([
      'register_comments',
      'pre_ping',
    ])
  })
})

describe('connectionKey', () => {
  test('spellings of one file have one key: dots, links, folders that are links, files that do not exist yet', () => {
    mkdirSync(join(root, 'data'), { recursive: true })
    symlinkSync(join(root, 'data'), join(root, 'linked-folder'))
    symlinkSync('data/new.duckdb', join(root, 'dangling.duckdb'))
    writeFileSync(join(root, 'data/old.duckdb'), '')
    symlinkSync(join(root, 'data/old.duckdb'), join(root, 'link.duckdb'))
    const same = (...names: string[]) => new Set(names.map((database) => key({ database }))).size
    expect(same('data/new.duckdb', './data/../data/new.duckdb', 'linked-folder/new.duckdb', 'dangling.duckdb')).toBe(1)
    expect(same('data/old.duckdb', 'link.duckdb', join(root, 'data/old.duckdb'))).toBe(1)
    expect(same('data/new.duckdb', 'data/old.duckdb')).toBe(2)
  })

  test('defaults written out do not change it, other values do', () => {
    expect(key({ database: 'a.db', concurrent_tasks: 8 })).toBe(
      key({ type: 'duckdb', database: 'a.db', connector_config: {} }),
    )
    expect(key({ database: 'a.db', concurrent_tasks: 4 })).not.toBe(key({ database: 'a.db' }))
    expect(key({ database: 'a.db', connector_config: { threads: 1 } })).not.toBe(key({ database: 'a.db' }))
  })

  test('databases in memory belong to their project', () => {
    const elsewhere = parseConnection({ database: ':memory:' }, { root: '/elsewhere', env: {} })
    expect(connectionKey(elsewhere)).not.toBe(key({ database: ':memory:' }))
  })

  test('no secret is in it, what the secret is known by is', () => {
    const text = (raw: Record<string, unknown>) => key(raw)
    const secrets = [{ type: 's3', key_id: 'AKIA1', secret: 'hush', session_token: 'hush' }]
    const written = [
      text({ type: 'motherduck', database: 'md:x?motherduck_token=hush', token: 'hush' }),
      text({ database: 'a.db', secrets, connector_config: { s3_secret_access_key: 'hush' } }),
      text({
        type: 'quack',
        uri: 'q',
        token: { oauth2: { client_id: 'me', token_url: 'http://t', client_secret: 'hush' } },
      }),
      text({ type: 'ducklake', catalog: 'postgres:dbname=lake password=hush host=h', data_path: 'd' }),
    ]
    for (const one of written) expect(one).not.toContain('hush')
    expect(written[1]).toContain('AKIA1')
    expect(written[2]).toContain('http://t')
    expect(text({ type: 'motherduck', token: { env: 'A' } })).not.toBe(
      text({ type: 'motherduck', token: { env: 'B' } }),
    )
    expect(text({ type: 'motherduck', token: 'one' })).toBe(text({ type: 'motherduck', token: 'two' }))
  })

  test('the order of keys at any depth does not matter, and no nested value makes it throw', () => {
    const shuffled = (value: unknown): unknown => {
      if (Array.isArray(value)) return value.map(shuffled)
      if (typeof value !== 'object' || value === null) return value
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([name, item]) => [name, shuffled(item)]),
      )
    }
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (secrets) => {
        expect(key({ database: 'a.db', secrets: shuffled(secrets) })).toBe(key({ database: 'a.db', secrets }))
      }),
    )
    const circular: Record<string, unknown> = { n: 1n, f: () => 1 }
    circular['self'] = circular
    expect(key({ database: 'a.db', secrets: circular })).toContain('<circular>')
  })
})
