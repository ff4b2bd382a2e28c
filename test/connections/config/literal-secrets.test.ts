import { describe, expect, test } from 'vitest'
import { parseConnection } from '../../../src/connections/config.ts'
import { haveSameLiterals, placesOfLiterals } from '../../../src/connections/config/literal-secrets.ts'
import { connectionConflict } from '../../../src/connections/connection-conflict.ts'
import { connectionKey } from '../../../src/connections/connection-key.ts'

const parse = (raw: string) =>
  parseConnection(JSON.parse(raw) as Record<string, unknown>, { root: '/project', env: { X: 'hush' } })

describe('secrets written in a configuration', () => {
  test.each([
    { type: 'motherduck', database: 'md:x?motherduck_token=hush' },
    { type: 'quack', uri: 'q', token: 'hush' },
    { type: 'quack', uri: 'q', token: { oauth2: { client_id: 'me', token_url: 'https://t', client_secret: 'hush' } } },
    { type: 'ducklake', catalog: 'postgres:password=hush' },
    { catalogs: { p: 'postgres:password=hush', m: { type: 'motherduck', path: 'md:x', token: 'hush' } } },
    { secrets: [{ type: 's3', secret: 'hush' }] },
    { secrets: [{ type: 'http', extra_http_headers: { Authorization: 'hush' } }] },
    { secrets: [{ type: 'http', http_proxy: 'http://me:hush@proxy' }] },
    { connector_config: { s3_secret_access_key: 'hush' } },
  ])('are compared where the key cannot: %j', (raw) => {
    const [text, other] = [JSON.stringify(raw), JSON.stringify(raw).replaceAll('hush', 'other')]
    expect(connectionKey(parse(other))).toBe(connectionKey(parse(text)))
    expect(haveSameLiterals(parse(text), parse(text))).toBe(true)
    expect(haveSameLiterals(parse(text), parse(other))).toBe(false)
    const { message } = connectionConflict('it', parse(text), parse(other))
    expect(message).toBe('it is in use with another configuration: a secret in it is another one here')
  })

  test.each<[Record<string, unknown>, string[]]>([
    [{ type: 'quack', uri: 'q', token: 'hush' }, ['connection.token']],
    [{ type: 'quack', uri: 'q', token: { env: 'X' } }, []],
    [
      {
        type: 'quack',
        uri: 'q',
        token: { oauth2: { client_id: 'me', token_url: 'https://t', client_secret: 'hush' } },
      },
      ['connection.token.clientSecret'],
    ],
    [
      {
        secrets: {
          lake: { type: 's3', secret: 'hush', key_id: 'me' },
          api: { type: 'http', bearer_token: { env: 'X' } },
        },
      },
      ['connection.secrets.lake.secret'],
    ],
  ])('are found by their place in %j', (raw, places) => {
    expect(placesOfLiterals(parse(JSON.stringify(raw)))).toEqual(places)
  })

  test('are not what a variable holds, which may change', () => {
    const raw = { type: 'quack', uri: 'q', token: { env: 'X' } }
    const other = parseConnection(raw, { root: '/project', env: { X: 'other' } })
    expect(haveSameLiterals(parse(JSON.stringify(raw)), other)).toBe(true)
  })

  test('are what variables hold for two projects, each with an environment of its own', () => {
    const raw = { database: '/w.duckdb', secrets: [{ type: 's3', secret: { env: 'X' } }] }
    const of = (root: string, value: string) => parseConnection(raw, { root, env: { X: value } })
    expect(connectionKey(of('/a', 'hush'))).toBe(connectionKey(of('/b', 'other')))
    expect(haveSameLiterals(of('/a', 'hush'), of('/b', 'hush'))).toBe(true)
    expect(haveSameLiterals(of('/a', 'hush'), of('/b', 'other'))).toBe(false)
  })
})
