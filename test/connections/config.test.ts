import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseConnection } from '../../src/connections/config.ts'

let root: string
beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-config-')))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const parse = (raw: Record<string, unknown>, env = {}) => parseConnection(raw, { root, env })

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

  test('text that names another type than a file is of that type', () => {
    expect(parse({ database: 'md:analytics' })).toMatchObject({ type: 'motherduck', database: 'analytics' })
    expect(parse({ type: 'duckdb', database: 'ducklake:lake.ducklake' })).toMatchObject({ type: 'ducklake' })
    expect(parse({ database: 'quack:db' })).toMatchObject({ type: 'quack', host: 'db', port: 9494 })
    expect(() => parse({ database: 's3://bucket/a.db' })).toThrow(
      /connection\.database: expected a file of this machine/,
    )
    expect(() => parse({ database: 'postgres:dbname=x' })).toThrow(/connection\.database: expected a DuckDB file/)
  })

  test.each([
    [{ concurrent_tasks: 'many' }, "connection.concurrent_tasks: expected a whole number from 1 to 10000; got 'many'"],
    [{ concurrent_tasks: 1.5 }, 'connection.concurrent_tasks: expected a whole number from 1 to 10000; got 1.5'],
    [{ database: ['a'] }, 'connection.database: expected text; got a list'],
    [{ extensions: 'icu' }, "connection.extensions: expected a list of extensions; got 'icu'"],
    [{ extensions: [{ name: 'icu', repo: 'x' }] }, "connection.extensions[0]: an extension has no key 'repo'"],
    [{ connector_config: 'fast' }, 'connection.connector_config: expected a mapping; got text'],
    [{ connector_config: { threads: [2] } }, 'connection.connector_config.threads: expected text, a number, true or'],
    [
      { connector_config: { threads: 1, worker_threads: 2 } },
      "expected each setting once; 'worker_threads' is 'threads'",
    ],
    [{ extension_directory: {} }, 'connection.extension_directory: expected text; got a mapping'],
    [{ type: 7 }, 'connection.type: expected one of duckdb, motherduck, ducklake, quack; got 7'],
  ])('%j is refused: the key, what was expected, what came', (raw, message) => {
    expect(() => parse(raw)).toThrow(
      expect.objectContaining({ code: 'CONFIG', message: expect.stringContaining(message) }),
    )
  })

  test('the variables that credentials may name are at hand, and are not printed', () => {
    const config = parse({ database: 'a.db' }, { TOKEN: 'hush' })
    expect(config.environment.variables()).toEqual({ TOKEN: 'hush' })
    expect(JSON.stringify(config)).not.toContain('hush')
    expect(inspect(config, { depth: 9, showHidden: true })).not.toContain('hush')
  })

  test('one database twice in one connection is refused, whatever its spelling', () => {
    expect(() => parse({ database: 'a.db', catalogs: { again: './x/../a.db' } })).toThrow(
      /connection\.catalogs\.again: expected another database than connection\.database; both are the file .*a\.db/,
    )
    expect(() => parse({ catalogs: { a: 'sqlite:l.db', l: 'ducklake:sqlite:l.db' } })).toThrow(
      /catalogs\.l: expected another/,
    )
    expect(() => parse({ type: 'ducklake', catalog: 'l.ducklake', catalogs: { lake: 'b.db' } })).toThrow(/another name/)
  })

  test('names that JavaScript knows are names like any other', () => {
    const raw = JSON.parse(
      '{ "connector_config": { "constructor": 1, "__proto__": 2 }, "extensions": ["constructor"] }',
    )
    const config = parse(raw as Record<string, unknown>)
    expect(Object.entries(config.settings)).toEqual([
      ['constructor', '1'],
      ['__proto__', '2'],
    ])
    expect(config.extensions).toEqual([{ name: 'constructor', repository: null }])
  })

  test('SQLMesh keys without meaning here are accepted and named', () => {
    expect(parse({ type: 'duckdb', register_comments: false, pre_ping: true }).ignored).toEqual([
      'register_comments',
      'pre_ping',
    ])
  })
})
