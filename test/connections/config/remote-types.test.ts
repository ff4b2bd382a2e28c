import { describe, expect, test } from 'vitest'
import { parseConnection } from '../../../src/connections/config.ts'
import { expectRefused } from './refusals.ts'

type Raw = Record<string, unknown>

const parse = (raw: Raw, env = {}) => parseConnection(raw, { root: '/project', env: { HOME: '/home/ann', ...env } })
const refused = (raw: Raw, message: string, hint?: string) => expectRefused(() => parse(raw), message, hint)
const literal = { kind: 'literal', secret: 'hush' }

describe('motherduck', () => {
  test('has its defaults', () => {
    expect(parse({ type: 'motherduck', database: 'analytics' })).toMatchObject({
      database: 'analytics',
      token: { kind: 'env', variable: 'MOTHERDUCK_TOKEN' },
      attachMode: 'single',
      saasMode: false,
      sessionName: null,
      accessMode: 'automatic',
      inactivityTtlMs: null,
      userAgent: null,
    })
    expect(parse({ type: 'motherduck' })).toMatchObject({ database: null, attachMode: 'workspace' })
    expect(parse({ type: 'motherduck' }, { motherduck_token: 'x' })).toMatchObject({
      token: { variable: 'motherduck_token' },
    })
  })

  test('takes its parameters from the text and from keys', () => {
    const database = 'md:my%20db?attach_mode=workspace&SAAS_MODE=true&session_hint=u%261&dbinstance_inactivity_ttl=5m'
    expect(
      parse({ type: 'motherduck', database, access_mode: 'READ_ONLY', custom_user_agent: 'acme/1' }),
    ).toMatchObject({
      database: 'my db',
      attachMode: 'workspace',
      saasMode: true,
      sessionName: 'u&1',
      accessMode: 'read_only',
      inactivityTtlMs: 300_000,
      userAgent: 'acme/1',
    })
  })

  test('a token in the text is a literal credential, and leaves the text', () => {
    for (const raw of [
      { database: 'md:x?motherduck_token=hush' },
      { type: 'motherduck', database: 'x?token=hush' },
      { type: 'motherduck', database: 'x', connector_config: { motherduck_token: 'hush' } },
    ]) {
      const config = parse(raw)
      expect(config).toMatchObject({ database: 'x', token: literal, settings: {} })
      expect(JSON.stringify(config)).not.toContain('hush')
    }
  })

  test('refuses what it cannot mean', () => {
    refused({ database: 'md:x?attachmode=single' }, "MotherDuck has no parameter 'attachmode'", "'attach_mode'")
    refused(
      { database: 'md:x', attach_mode: 'singel' },
      "connection.attach_mode: expected one of single, workspace; got 'singel'",
      "'single'",
    )
    refused(
      { database: 'md:x?saas_mode=1', saas_mode: false },
      "connection.saas_mode: expected one value; got 'true' and 'false'",
    )
    refused({ database: 'md:x', saas_mode: 'yes' }, "connection.saas_mode: expected true or false; got 'yes'")
    refused({ database: 'md:x', dbinstance_inactivity_ttl: 'soon' }, "expected a duration such as '30s'")
    refused(
      { database: 'md:x', custom_user_agent: 'a', connector_config: { custom_user_agent: 'b' } },
      "got 'a' and 'b'",
    )
    refused({ database: 'md:x', token: 'a', connector_config: { motherduck_token: 'b' } }, 'expected one token')
    refused({ database: 'md:x?hush' }, "one of them has no '='")
    refused({ database: 'md://x' }, "expected a name such as 'md:analytics'")
    refused({ type: 'motherduck', session: 'x' }, "a connection of type motherduck has no key 'session'")
    const twice = () => parse({ database: 'md:x?motherduck_token=hush', token: 'hush' })
    expect(twice).toThrow('connection.token: expected one token')
    expect(twice).not.toThrow('hush')
  })
})

describe('ducklake', () => {
  test('has its catalog in PostgreSQL, SQLite or a file', () => {
    expect(parse({ type: 'ducklake', catalog: 'ducklake:data/l.ducklake' })).toMatchObject({
      catalog: { kind: 'duckdb', path: '/project/data/l.ducklake' },
      dataPath: null,
      encrypted: false,
      dataInliningRowLimit: null,
      metadataSchema: null,
      database: 'lake',
    })
    expect(parse({ type: 'ducklake', catalog: 'sqlite:~/l.sqlite' })).toMatchObject({
      catalog: { kind: 'sqlite', path: '/home/ann/l.sqlite' },
    })
    const catalog = String.raw`postgres:dbname='my \'lake\'' host=db user = me password=hush`
    expect(
      parse({ type: 'ducklake', catalog, data_path: 's3://b/l/', encrypted: 1, data_inlining_row_limit: '5' }),
    ).toMatchObject({
      catalog: { kind: 'postgres', parameters: { dbname: "my 'lake'", host: 'db', user: 'me' }, password: literal },
      dataPath: 's3://b/l',
      encrypted: true,
      dataInliningRowLimit: 5,
    })
    expect(parse({ type: 'ducklake', catalog: 'postgresql://me:hush@[::1]:5433/l?sslmode=require' })).toMatchObject({
      catalog: {
        parameters: { user: 'me', host: '::1', port: '5433', dbname: 'l', sslmode: 'require' },
        password: literal,
      },
    })
    expect(parse({ type: 'ducklake', catalog: 'postgres:dbname=l', password: { env: 'PG' } })).toMatchObject({
      catalog: { password: { kind: 'env', variable: 'PG' } },
    })
  })

  test('refuses what it cannot mean', () => {
    refused({ type: 'ducklake' }, 'connection.catalog: expected text; got nothing')
    refused({ type: 'ducklake', catalog: 'mysql:db=x' }, 'expected postgres:…, sqlite:FILE or a DuckDB file')
    refused({ type: 'ducklake', catalog: 'sqlite:' }, 'expected postgres:…, sqlite:FILE or a DuckDB file')
    refused({ type: 'ducklake', catalog: 'postgres:dbnam=x' }, "no connection parameter 'dbnam'", "'dbname'")
    refused({ type: 'ducklake', catalog: 'postgres:dbname=a dbname=b' }, "'dbname' is there twice")
    refused({ type: 'ducklake', catalog: 'l.db', password: 'hush' }, 'expected a PostgreSQL catalog')
    refused({ type: 'ducklake', catalog: 'postgres:password=x', password: 'y' }, 'expected one password')
    refused({ type: 'ducklake', catalog: 'l.db', data_inlining_row_limit: -1 }, 'connection.data_inlining_row_limit')
    refused({ type: 'ducklake', catalog: 'l.db', datapath: 'x' }, "has no key 'datapath'", "'data_path'")
    refused({ type: 'ducklake', catalog: 'l.db', pool: { writers: 'many' } }, "connection.pool.writers: expected 'one'")
    for (const catalog of [
      "postgres:password='hush dbname=x",
      'postgresql://me:hush@h:port/x',
      'mysql:password=hush',
    ]) {
      expect(() => parse({ type: 'ducklake', catalog })).toThrow('connection.catalog')
      expect(() => parse({ type: 'ducklake', catalog })).not.toThrow('hush')
    }
  })
})

describe('quack', () => {
  test.each([
    ['quack:db.internal', { host: 'db.internal', port: 9494, disableSsl: false }],
    ['DB', { host: 'db', port: 9494, disableSsl: false }],
    ['quack:db:1', { host: 'db', port: 1 }],
    ['quack://db:80/?disable_ssl=true', { port: 80, disableSsl: true }],
    ['quack:[::1]', { host: '::1', port: 9494, disableSsl: true }],
    ['quack:localhost', { disableSsl: true, token: null, database: null }],
    ['quack://db?token=hush', { host: 'db', token: literal }],
  ])('%s', (uri, expected) => {
    expect(parse({ type: 'quack', uri })).toMatchObject(expected)
  })

  test.each([
    'http://db',
    'quack:',
    'quack:db:x',
    'quack:db:0',
    'quack:db:65536',
    'quack:a b',
    'quack:me:hush@db',
    'quack:::1',
  ])('%j is refused', (uri) => refused({ type: 'quack', uri }, "connection.uri: expected 'quack:host:port'"))

  test('refuses what it cannot mean', () => {
    refused({ type: 'quack' }, 'connection.uri: expected text; got nothing')
    refused({ type: 'quack', uri: 'quack:db?tokn=x' }, "has no parameter 'tokn'", "'token'")
    refused({ type: 'quack', uri: 'quack:db?token=x', token: 'y' }, 'connection.token: expected one value')
    refused({ type: 'quack', uri: 'db', token: { enviroment: 'X' } }, 'connection.token')
    refused({ type: 'quack', uri: 'db', url: 'x' }, "has no key 'url'", "'uri'")
  })
})

describe('attached databases', () => {
  const attached = (catalogs: unknown, more: Raw = {}) => parse({ database: 'main.db', catalogs, ...more }).catalogs

  test('are of every type, as text', () => {
    expect(
      attached({
        File: 'a.db',
        '"quoted"': 'duckdb:b.db',
        memory: ':memory:',
        md: 'md:shared',
        lake: 'ducklake:postgres:dbname=l',
        server: 'quack:db',
        pg: 'postgres:dbname=x password=hush',
        lite: 'sqlite:s.db',
        far: 's3://bucket/a.db',
      }),
    ).toMatchObject({
      file: { type: 'duckdb', path: '/project/a.db', readOnly: false },
      quoted: { type: 'duckdb', path: '/project/b.db' },
      memory: { type: 'duckdb', path: null },
      md: { type: 'motherduck', database: 'shared', token: { kind: 'env', variable: 'MOTHERDUCK_TOKEN' } },
      lake: { type: 'ducklake', catalog: { kind: 'postgres', parameters: { dbname: 'l' } } },
      server: { type: 'quack', host: 'db', port: 9494 },
      pg: { type: 'postgres', parameters: { dbname: 'x' }, password: literal, schema: null },
      lite: { type: 'sqlite', path: '/project/s.db' },
      far: { type: 'duckdb', path: 's3://bucket/a.db' },
    })
  })

  test("are written as mappings, too: SQLMesh's, and with the types' own keys", () => {
    expect(
      attached({
        a: { type: 'duckdb', path: 'a.db', read_only: true },
        md: { type: 'duckdb', path: 'md:shared' },
        lake: {
          type: 'ducklake',
          path: 'l.ducklake',
          data_path: 'files',
          encrypted: true,
          data_inlining_row_limit: 10,
        },
        lake2: { catalog: 'postgres:dbname=l', password: { env: 'PG' } },
        pg: { type: 'postgres', path: 'dbname=x', password: { env: 'PG' }, schema: 'public' },
        server: { type: 'quack', uri: 'db', token: { env: 'Q' } },
      }),
    ).toMatchObject({
      a: { path: '/project/a.db', readOnly: true },
      md: { type: 'motherduck', database: 'shared' },
      lake: { catalog: { path: '/project/l.ducklake' }, dataPath: '/project/files', encrypted: true },
      lake2: { type: 'ducklake', catalog: { password: { variable: 'PG' } } },
      pg: { parameters: { dbname: 'x' }, password: { variable: 'PG' }, schema: 'public' },
      server: { token: { variable: 'Q' } },
    })
  })

  test('of MotherDuck share the one account of their connection', () => {
    expect(attached({ a: 'md:a' }, { token: { env: 'T' } })).toMatchObject({ a: { token: { variable: 'T' } } })
    expect(parse({ type: 'motherduck', token: { file: 't' }, catalogs: { a: 'md:a' } }).catalogs).toMatchObject({
      a: { token: { kind: 'file' } },
    })
    refused(
      { catalogs: { a: 'md:a', b: { type: 'motherduck', path: 'md:b', token: { env: 'OTHER' } } } },
      'expected one token for all MotherDuck databases of a connection; got env MOTHERDUCK_TOKEN and env OTHER',
    )
  })

  test('the first is what unqualified names mean when no main database is written', () => {
    expect(parse({ catalogs: { b: 'b.db', a: 'a.db' } }).defaultCatalog).toBe('b')
    expect(parse({ database: '', catalogs: { b: 'b.db' } }).defaultCatalog).toBe('b')
    expect(parse({ database: ':memory:', catalogs: { b: 'b.db' } }).defaultCatalog).toBeNull()
    expect(parse({ type: 'quack', uri: 'db', catalogs: { b: 'b.db' } }).defaultCatalog).toBeNull()
  })

  test('are refused by name', () => {
    refused({ catalogs: ['a.db'] }, 'connection.catalogs: expected a mapping; got a list')
    refused({ catalogs: { a: 'a.db', A: 'b.db' } }, "expected different names; 'A' is 'a' again")
    refused({ catalogs: { a: { type: 'mysql', path: 'x' } } }, 'connection.catalogs.a.type: expected one of duckdb')
    refused(
      { catalogs: { a: { path: 'x', readonly: true } } },
      "connection.catalogs.a: a catalog of type duckdb has no key 'readonly'",
      "'read_only'",
    )
    refused({ catalogs: { a: { type: 'duckdb' } } }, 'connection.catalogs.a.path: expected text; got nothing')
    refused({ catalogs: { a: { path: 'x', database: 'y' } } }, 'expected either path or database; got both')
    refused({ catalogs: { a: 'md:a?saas_mode=true' } }, "expected 'md:NAME' without parameters")
    refused({ catalogs: { a: 7 } }, 'connection.catalogs.a: expected a mapping; got 7')
  })
})
