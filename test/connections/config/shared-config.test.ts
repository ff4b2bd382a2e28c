import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseConnection } from '../../../src/connections/config.ts'
import { BOOLEAN_SETTINGS, CHOICE_SETTINGS, SIZE_SETTINGS } from '../../../src/connections/config/setting-names.ts'
import { canonicalSettings } from '../../../src/connections/config/settings.ts'
import { expectRefused } from './refusals.ts'

type Raw = Record<string, unknown>

const parse = (raw: Raw) => parseConnection({ database: 'a.db', ...raw }, { root: '/project', env: {} })
const refused = (raw: Raw, message: string, hint?: string) => expectRefused(() => parse(raw), message, hint)

describe('secrets', () => {
  test('are named or a list, hold credentials, and are sorted', () => {
    const { secrets } = parse({
      secrets: [
        { type: 'S3', KEY_ID: 'AKIA1', secret: 'hush', region: 'eu', use_ssl: 'false', scope: ['s3://b', 's3://a'] },
        { type: 'http', name: 'Api', bearer_token: { env: 'T' }, extra_http_headers: { env: 'prod', Cookie: 'hush' } },
      ],
    })
    expect(secrets).toMatchObject([
      {
        name: '__default_s3',
        type: 's3',
        provider: 'config',
        scope: ['s3://a', 's3://b'],
        parameters: { key_id: 'AKIA1', secret: { credential: { kind: 'literal' } }, region: 'eu', use_ssl: false },
      },
      {
        name: 'api',
        parameters: {
          bearer_token: { credential: { kind: 'env', variable: 'T' } },
          extra_http_headers: { env: 'prod', Cookie: { credential: { kind: 'literal' } } },
        },
      },
    ])
    expect(JSON.stringify(secrets)).not.toContain('hush')
    expect(parse({ secrets: { pg: { type: 'postgres', password: { env: 'P' }, port: 5433 } } }).secrets).toMatchObject([
      { name: 'pg', parameters: { port: '5433' } },
    ])
    expect(parse({ secrets: {} }).secrets).toBeNull()
  })

  test('of types and parameters that extensions bring are taken', () => {
    expect(parse({ secrets: [{ type: 'gsheet', sheet_key: 'x' }] }).secrets).toMatchObject([{ type: 'gsheet' }])
  })

  test('are refused by name, and nothing of them is shown', () => {
    const circular: Raw = { type: 'http' }
    circular['extra'] = circular
    refused({ secrets: { a: 'hush' } }, 'connection.secrets.a: expected a mapping; got text')
    refused({ secrets: 'hush' }, 'connection.secrets: expected a list or a mapping of secrets; got text')
    refused({ secrets: { a: { secret: 'hush' } } }, "connection.secrets.a.type: expected a secret's type")
    refused({ secrets: [{ type: 's33' }] }, 'connection.secrets[0].type', "'s3'")
    refused({ secrets: [{ type: 's3', keyid: 'x' }] }, "a secret of type s3 has no parameter 'keyid'", "'key_id'")
    refused({ secrets: [{ type: 's3', regoin: 'x' }] }, "has no parameter 'regoin'", "'region'")
    refused({ secrets: [{ type: 's3', use_ssl: 'maybe' }] }, 'connection.secrets[0].use_ssl: expected true or false')
    refused({ secrets: [{ type: 's3', secret: { enviroment: 'x' } }] }, 'connection.secrets[0].secret')
    refused({ secrets: [{ type: 's3' }, { type: 'S3' }] }, "'__default_s3' is there twice")
    refused({ secrets: [{ type: 's3', persistent: true }] }, "'persistent' cannot be set")
    refused({ secrets: [circular] }, 'expected at most 32 levels')
    refused({ secrets: [{ type: 'http', extra: new Date(0) }] }, 'connection.secrets[0].extra: expected text')
    for (const secrets of ['hush', { a: 'hush' }, { a: { secret: 'hush' } }]) {
      expect(() => parse({ secrets })).not.toThrow('hush')
    }
  })
})

describe('pool', () => {
  test('is a strategy, or a mapping', () => {
    expect(parse({}).pool).toBeNull()
    expect(parse({ pool: 'single' }).pool).toMatchObject({ strategy: 'single', writers: 'many' })
    expect(parse({ pool: { idle: '30s', max_age: '1h', lease_timeout: 90, statement_timeout: '500ms' } }).pool).toEqual(
      {
        strategy: 'shared',
        writers: 'many',
        idleMs: 30_000,
        maxAgeMs: 3_600_000,
        leaseTimeoutMs: 90_000,
        statementTimeoutMs: 500,
      },
    )
    expect(parse({ database: 'quack:db', pool: { idle: '1s' } }).pool).toMatchObject({ strategy: 'session' })
    expect(parse({ database: 'ducklake:l.db', pool: { idle: '1s' } }).pool).toMatchObject({ writers: 'one' })
    expect(parse({ database: 'md:x', pool: 'instance' }).pool).toMatchObject({ strategy: 'instance' })
  })

  test('is refused where it cannot be', () => {
    refused(
      { pool: 'singel' },
      'connection.pool.strategy: expected one of shared, session, instance, single',
      "'single'",
    )
    refused({ pool: 'instance' }, 'expected one of shared, single for a connection of type duckdb')
    refused({ pool: { size: 4 } }, "connection.pool: a pool has no key 'size'")
    refused(
      { pool: { idle: 'long' } },
      "connection.pool.idle: expected a duration such as '30s', '5m' or '1h'; got 'long'",
    )
    refused({ pool: [] }, 'connection.pool: expected a mapping; got a list')
  })
})

describe('settings that have several spellings', () => {
  let instance: DuckDBInstance
  beforeAll(async () => {
    instance = await DuckDBInstance.create(':memory:')
  })
  afterAll(() => instance.closeSync())

  const asked = async (name: string, value: string): Promise<unknown> => {
    const connection = await instance.connect()
    try {
      await connection.run(`SET ${name} = '${value}'`)
      return (await connection.runAndReadAll(`SELECT current_setting('${name}')`)).value(0, 0)
    } finally {
      connection.disconnectSync()
    }
  }

  test.each([
    ['memory_limit', ['4GB', '4 gb', '4000mb', '4000000 KB']],
    ['memory_limit', ['0.5GiB', '512MiB', '512 mib']],
    ['checkpoint_threshold', ['1TB', '1000gb']],
    ['preserve_insertion_order', ['true', 'TRUE', '1', 't']],
    ['preserve_insertion_order', ['false', 'False', '0', 'f']],
    ['default_null_order', ['NULLS_FIRST', 'nulls first', 'nulls_first']],
    ['default_order', ['DESC', 'desc']],
  ])('%s: %j are one, for DuckDB too', async (name, spellings) => {
    const answers = await Promise.all(spellings.map((value) => asked(name, value)))
    expect(new Set(answers.map(String)).size).toBe(1)
    expect(new Set(spellings.map((value) => canonicalSettings({ [name]: value })[name])).size).toBe(1)
  })

  test('values that DuckDB tells apart stay apart', () => {
    const sizes = ['4GB', '4GiB', '5GB', '400MB', '4', '50%', '4GBs', '-1', '']
    expect(new Set(sizes.map((value) => canonicalSettings({ memory_limit: value })['memory_limit'])).size).toBe(
      sizes.length,
    )
  })

  test('the settings that are named are those of DuckDB', async () => {
    const connection = await instance.connect()
    const rows = await connection.runAndReadAll('SELECT lower(name) AS name, input_type FROM duckdb_settings()')
    connection.disconnectSync()
    const types = new Map(rows.getRowObjects().map((row) => [String(row['name']), String(row['input_type'])]))
    const ofExtensions = /^(?:s3_|http_keep_alive|force_download|enable_server_cert_verification)/
    for (const name of BOOLEAN_SETTINGS)
      if (!ofExtensions.test(name)) expect([name, types.get(name)]).toEqual([name, 'BOOLEAN'])
    for (const name of [...SIZE_SETTINGS, ...CHOICE_SETTINGS])
      expect([name, types.get(name)]).toEqual([name, 'VARCHAR'])
  })
})
