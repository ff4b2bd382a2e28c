import { describe, expect, test } from 'vitest'
import { parseConnection } from '../../src/connections/config.ts'
import { connectionConflict } from '../../src/connections/connection-conflict.ts'

type Raw = Record<string, unknown>

const parse = (raw: Raw) => parseConnection({ database: 'a.db', ...raw }, { root: '/p', env: {} })
const conflict = (inUse: Raw, asked: Raw) => connectionConflict('a.db', parse(inUse), parse(asked))
const differences = (inUse: Raw, asked: Raw) =>
  conflict(inUse, asked).message.replace('a.db is in use with another configuration: ', '').split('; ')

describe('connectionConflict', () => {
  test('tells each setting that differs, as it is in use and as it was asked for', () => {
    expect(conflict({ concurrent_tasks: 4 }, {})).toMatchObject({
      code: 'CONNECTION_CONFLICT',
      hint: expect.stringContaining('the same settings'),
    })
    expect(differences({ concurrent_tasks: 4, extensions: ['icu'] }, { connector_config: { threads: 2 } })).toEqual([
      'concurrent_tasks is 4 in use and 8 here',
      'connector_config.threads is not set in use and "2" here',
      'extensions is ["icu"] in use and not set here',
    ])
  })

  test('tells what differs within nested values', () => {
    const secret = { type: 's3', scope: ['s3://a'], region: 'eu', secret: { env: 'A' } }
    expect(
      differences(
        { secrets: { lake: secret }, catalogs: { pg: 'postgres:host=h dbname=d' } },
        {
          secrets: { lake: { ...secret, region: 'us', secret: { env: 'B' } } },
          catalogs: { pg: 'postgres:host=h dbname=e' },
        },
      ),
    ).toEqual([
      'catalogs.pg.dbname is "d" in use and "e" here',
      'secrets.lake.region is "eu" in use and "us" here',
      'secrets.lake.secret is "env A" in use and "env B" here',
    ])
  })

  test('tells of a catalog or secret that only one of them has in one piece', () => {
    expect(differences({}, { catalogs: { b: '/b.db' }, secrets: { 'my secret': { type: 'http' } } })).toEqual([
      'catalogs.b is not set in use and { path: "/b.db", read_only: false, type: "duckdb" } here',
      'secrets."my secret" is not set in use and { provider: "config", scope: [], type: "http" } here',
    ])
  })

  test('tells no secret', () => {
    const { message } = conflict(
      {
        token: 'hush',
        catalogs: { pg: 'postgres:host=h password=hush dbname=d' },
        connector_config: { s3_secret_access_key: 'hush' },
      },
      { secrets: [{ type: 's3', secret: 'hush', http_proxy: 'http://me:hush@proxy' }] },
    )
    expect(message).toContain('"a literal secret"')
    expect(message).not.toContain('hush')
  })

  test('stays short', () => {
    const settings = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`x${index}`, 'y'.repeat(1000)]))
    const { message } = conflict({ connector_config: settings }, {})
    expect(message).toMatch(/; and 18 more$/)
    expect(message.length).toBeLessThan(4000)
  })
})
