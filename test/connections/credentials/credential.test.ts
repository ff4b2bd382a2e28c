import { mkdirSync, mkdtempSync, realpathSync, symlinkSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { credentialIdentity } from '../../../src/connections/credentials/credential-identity.ts'
import { holdsLiteral, parseCredential } from '../../../src/connections/credentials/credential.ts'
import { MillraceError } from '../../../src/errors.ts'

const SECRET = 'sEcReT-4711'
const root = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-credential-')))
const parse = (raw: unknown) => parseCredential(raw, { root, name: 'connection.token' })
const identity = (raw: unknown) => credentialIdentity(parse(raw))

const OAUTH2 = { token_url: 'https://idp.example/token', client_id: 'reader', client_secret: { env: 'SECRET' } }

describe('each shape', () => {
  test('env', () => {
    expect(parse({ env: 'MOTHERDUCK_TOKEN' })).toEqual({ kind: 'env', variable: 'MOTHERDUCK_TOKEN' })
  })

  test('file, relative to the project or to the home folder', () => {
    expect(parse({ file: './secrets/token' })).toEqual({ kind: 'file', path: join(root, 'secrets/token') })
    expect(parse({ file: '~/token' })).toEqual({ kind: 'file', path: join(homedir(), 'token') })
  })

  test('command, found on PATH or beside the project', () => {
    expect(parse({ command: ['vault', 'print', 7] })).toEqual({
      kind: 'command',
      argv: ['vault', 'print', '7'],
      folder: root,
    })
    expect(parse({ command: ['./bin/token'] })).toMatchObject({ argv: [join(root, 'bin/token')] })
  })

  test('oauth2, its secret any credential', () => {
    expect(parse({ oauth2: { ...OAUTH2, scope: ['a', 'b'], audience: 'db' } })).toEqual({
      kind: 'oauth2',
      tokenUrl: 'https://idp.example/token',
      clientId: 'reader',
      clientSecret: { kind: 'env', variable: 'SECRET' },
      scope: 'a b',
      audience: 'db',
    })
  })

  test('motherduck, its life in seconds, an hour unless given', () => {
    const raw = { username: 'etl', admin_token: { file: '/run/admin' } }
    expect(parse({ motherduck: { ...raw, ttl: 900 } })).toEqual({
      kind: 'motherduck',
      username: 'etl',
      adminToken: { kind: 'file', path: '/run/admin' },
      ttlMs: 900_000,
    })
    expect(parse({ motherduck: raw })).toMatchObject({ ttlMs: 3_600_000 })
  })

  test('a function and a text', () => {
    const getToken = () => 'x'
    expect(parse(getToken)).toEqual({ kind: 'function', getToken })
    expect(parse(SECRET)).toMatchObject({ kind: 'literal', secret: SECRET })
  })
})

test('a literal secret is found wherever it is needed, and never printed', () => {
  const credential = parse({ oauth2: { ...OAUTH2, client_secret: SECRET } })
  expect([parse(SECRET), credential, parse({ env: 'A' })].map(holdsLiteral)).toEqual([true, true, false])
  expect(`${inspect(credential, { depth: 9 })} ${JSON.stringify(credential)}`).not.toContain(SECRET)
})

test.each<[string, unknown, string, string | null]>([
  ['an unknown kind', { envv: 'A' }, "connection.token: a credential has no key 'envv'", "Did you mean 'env'?"],
  ['two kinds', { env: 'A', file: 'b' }, 'connection.token: expected exactly one of env, file, command', null],
  ['no kind', {}, 'connection.token: expected exactly one of', null],
  [
    'nothing',
    null,
    'connection.token: expected a credential (env, file, command, oauth2 or motherduck, or a text), got nothing',
    null,
  ],
  [
    'a number',
    4711,
    'connection.token: expected a credential (env, file, command, oauth2 or motherduck, or a text), got a number',
    null,
  ],
  [
    'an empty text',
    '  ',
    'connection.token: expected a credential, got an empty text',
    'Is the variable it comes from set?',
  ],
  [
    'the value in place of the variable',
    { env: `${SECRET}.` },
    'connection.token.env: expected the name of',
    'Name the variable, not its value.',
  ],
  ['a command as text', { command: 'vault print' }, 'connection.token.command: expected a list', null],
  ['an empty command', { command: [] }, 'connection.token.command: expected a list', null],
  [
    'a secret on a command line',
    { command: ['get', '--password', SECRET] },
    'connection.token.command: --password would show',
    null,
  ],
  [
    'a secret on a command line, with =',
    { command: ['get', `--token=${SECRET}`] },
    'connection.token.command: --token would show',
    null,
  ],
  ['a database as file', { file: 'w.duckdb' }, 'connection.token.file: expected a file that holds a token', null],
  [
    'an unknown key',
    { oauth2: { ...OAUTH2, scopes: 'a' } },
    "connection.token.oauth2: it has no key 'scopes'",
    "Did you mean 'scope'?",
  ],
  [
    'a missing key',
    { oauth2: { ...OAUTH2, client_id: undefined } },
    'connection.token.oauth2.client_id: expected a text, got nothing',
    null,
  ],
  [
    'a missing secret',
    { oauth2: { ...OAUTH2, client_secret: null } },
    'connection.token.oauth2.client_secret: expected a credential',
    null,
  ],
  [
    'a wrong nested credential',
    { oauth2: { ...OAUTH2, client_secret: { fil: 'a' } } },
    "connection.token.oauth2.client_secret: a credential has no key 'fil'",
    "Did you mean 'file'?",
  ],
  [
    'http to elsewhere',
    { oauth2: { ...OAUTH2, token_url: 'http://idp.example/token' } },
    'connection.token.oauth2.token_url: expected https, or http on this machine',
    null,
  ],
  [
    'a password in the URL',
    { oauth2: { ...OAUTH2, token_url: `https://a:${SECRET}@idp.example/token` } },
    'connection.token.oauth2.token_url: expected a URL without',
    null,
  ],
  ['no URL', { oauth2: { ...OAUTH2, token_url: SECRET } }, 'connection.token.oauth2.token_url: expected a URL', null],
  [
    'a life that is none',
    { motherduck: { username: 'a', admin_token: 'b', ttl: '1h' } },
    'connection.token.motherduck.ttl: expected whole seconds',
    null,
  ],
])('%s is refused by name, without showing the value', (_, raw, message, hint) => {
  let error: unknown
  try {
    parse(raw)
  } catch (thrown) {
    error = thrown
  }
  expect(error).toBeInstanceOf(MillraceError)
  expect(error).toMatchObject({ code: 'CONFIG', message: expect.stringContaining(message) })
  if (hint !== null) expect(error).toMatchObject({ hint })
  expect(inspect(error)).not.toContain(SECRET)
})

test.each(['http://localhost:8080/token', 'http://127.0.0.1/token', 'http://[::1]:9/token'])(
  'http is good on %s',
  (url) => {
    expect(parse({ oauth2: { ...OAUTH2, token_url: url } })).toMatchObject({ tokenUrl: url })
  },
)

describe('what a credential is known by', () => {
  test('names, places and clients', () => {
    expect(identity({ env: 'MD' })).toBe('env MD')
    expect(identity({ command: ['vault', 'x y'] })).toBe(`command ["vault","x y"] in ${root}`)
    expect(identity({ oauth2: { ...OAUTH2, scope: 'b a', audience: 'db' } })).toBe(
      'oauth2 client "reader" at https://idp.example/token, scope "a b", audience "db"',
    )
    expect(identity({ motherduck: { username: 'etl', admin_token: SECRET } })).toBe('motherduck service account "etl"')
    expect(identity(SECRET)).toBe('a literal secret')
  })

  test('the spelling of a path and the order of scopes make no difference', () => {
    mkdirSync(join(root, 'real'))
    symlinkSync('real', join(root, 'alias'))
    const file = `file ${join(root, 'real/token')}`
    expect([{ file: 'real/token' }, { file: './alias/../real/token' }, { file: 'alias/token' }].map(identity)).toEqual([
      file,
      file,
      file,
    ])
    expect(identity({ oauth2: { ...OAUTH2, scope: 'a b' } })).toBe(identity({ oauth2: { ...OAUTH2, scope: ' b  a' } }))
  })

  test('a mounted secret keeps its name when the link behind it is turned', () => {
    symlinkSync('version-1', join(root, 'token'))
    expect(identity({ file: 'token' })).toBe(`file ${join(root, 'token')}`)
  })

  test('another client, audience, account, folder or function is another credential', () => {
    const other = (change: object) => identity({ oauth2: { ...OAUTH2, ...change } })
    const all = [other({}), other({ client_id: 'writer' }), other({ audience: 'a' }), other({ scope: 'a' })]
    expect(new Set(all).size).toBe(all.length)
    const first = () => 'a'
    const second = { first: () => 'b' }.first
    expect(identity(first)).toBe(identity(first))
    expect(identity(first)).not.toBe(identity(second))
    expect(credentialIdentity(parseCredential({ command: ['a'] }, { root: '/elsewhere', name: 'token' }))).not.toBe(
      identity({ command: ['a'] }),
    )
  })
})
