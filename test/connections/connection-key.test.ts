import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseConnection, type ConnectionConfig } from '../../src/connections/config.ts'
import { connectionKey, normalize } from '../../src/connections/connection-key.ts'
import { DIFFERENT, SAME } from './key-pairs.ts'

type Raw = Record<string, unknown>

let root: string
beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'millrace-key-')))
  mkdirSync(join(root, 'data'))
  symlinkSync(join(root, 'data'), join(root, 'linked'))
  symlinkSync('data/a.db', join(root, 'dangling.db'))
  writeFileSync(join(root, 'data/old.db'), '')
  symlinkSync(join(root, 'data/old.db'), join(root, 'link.db'))
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

const parse = (raw: Raw) => parseConnection(raw, { root, env: { HOME: '/home/ann' } })
const key = (raw: Raw) => connectionKey(parse(raw))

describe('two ways to write one connection have one key and one identity', () => {
  test.each(SAME)('$title', ({ a, b }) => {
    expect(normalize(parse(a))).toEqual(normalize(parse(b)))
  })
})

describe('connections that mean different things have different keys', () => {
  test.each(DIFFERENT)('$title', ({ a, b }) => {
    expect(key(a)).not.toBe(key(b))
  })
})

describe('random configurations', () => {
  test('keep their key when they are permuted, spelled otherwise, and have their defaults written out', () => {
    fc.assert(
      fc.property(connections, fc.infiniteStream(fc.nat()), (raw, choices) => {
        const next = () => Number(choices.next().value ?? 0)
        const before = normalize(parse(raw))
        expect(normalize(parse(shuffled(raw, next) as Raw))).toEqual(before)
        expect(normalize(parse(respelled(raw, next) as Raw))).toEqual(before)
        expect(normalize(parse({ ...DEFAULTS, ...raw }))).toEqual(before)
      }),
      { numRuns: 300 },
    )
  })

  test('have another key when one value changes', () => {
    fc.assert(
      fc.property(connections, fc.constantFrom(...CHANGES), (raw, change) => {
        expect(key({ ...raw, ...change })).not.toBe(key(raw))
      }),
      { numRuns: 200 },
    )
  })

  test('have one identity when only settings differ', () => {
    fc.assert(
      fc.property(connections, connections, (one, two) => {
        const [a, b] = [normalize(parse(one)), normalize(parse({ ...two, database: one['database'] }))]
        expect(b.identity).toBe(a.identity)
      }),
    )
  })
})

describe('identity', () => {
  const identity = (raw: Raw) => normalize(parse(raw)).identity

  test('of a file is its real path, whatever its settings', () => {
    expect(identity({ database: 'linked/a.db', concurrent_tasks: 2 })).toBe(`file ${join(root, 'data/a.db')}`)
  })

  test('of a database in memory is its whole configuration, in its project', () => {
    expect(identity({})).not.toBe(identity({ connector_config: { threads: 1 } }))
    const elsewhere = parseConnection({}, { root: '/elsewhere', env: {} })
    expect(normalize(elsewhere).identity).not.toBe(identity({}))
  })

  test('of a remote database is what it is for one tenant', () => {
    const md = { type: 'motherduck', database: 'x', token: { env: 'A' } }
    expect(identity({ ...md, saas_mode: true })).toBe(identity(md))
    expect(identity({ ...md, token: { env: 'B' } })).not.toBe(identity(md))
    const quack = { type: 'quack', uri: 'h', token: { env: 'A' } }
    expect(identity({ ...quack, concurrent_tasks: 1 })).toBe(identity(quack))
    expect(identity({ ...quack, token: { env: 'B' } })).not.toBe(identity(quack))
    const lake = { type: 'ducklake', catalog: 'postgres:dbname=l host=h', password: { env: 'A' } }
    expect(identity({ ...lake, data_path: 'd' })).toBe(identity(lake))
    expect(identity({ ...lake, password: { env: 'B' } })).not.toBe(identity(lake))
    expect(identity({ ...lake, metadata_schema: 'other' })).not.toBe(identity(lake))
  })

  test('comes with every file that is opened', () => {
    const raw = {
      database: 'main.db',
      catalogs: {
        b: 'linked/b.db',
        s: 'sqlite:s.sqlite',
        l: { type: 'ducklake', path: 'l.ducklake' },
        p: 'ducklake:postgres:dbname=x',
        m: ':memory:',
      },
    }
    const names = ['data/b.db', 'l.ducklake', 'main.db', 's.sqlite']
    expect(normalize(parse(raw)).files).toEqual(names.map((name) => join(root, name)))
  })
})

describe('secrets', () => {
  const HUSH = 'hush-hush'
  const WRITTEN: Raw[] = [
    { type: 'motherduck', database: `md:x?motherduck_token=${HUSH}` },
    { type: 'motherduck', token: HUSH },
    { type: 'motherduck', connector_config: { motherduck_token: HUSH } },
    { database: 'a.db', token: HUSH, catalogs: { m: 'md:x' } },
    { database: 'a.db', connector_config: { s3_secret_access_key: HUSH, http_proxy_password: HUSH } },
    { database: 'a.db', secrets: [{ type: 's3', key_id: 'AKIA1', secret: HUSH, session_token: HUSH }] },
    {
      database: 'a.db',
      secrets: { h: { type: 'http', bearer_token: HUSH, extra_http_headers: { 'X-API-Key': HUSH } } },
    },
    { database: 'a.db', secrets: [{ type: 'azure', connection_string: `AccountKey=${HUSH}` }] },
    { type: 'quack', uri: 'q', token: { oauth2: { client_id: 'me', token_url: 'https://t', client_secret: HUSH } } },
    { type: 'quack', uri: `quack://q/?token=${HUSH}` },
    { type: 'ducklake', catalog: `postgres:dbname=lake password='${HUSH}' host=h` },
    { type: 'ducklake', catalog: `postgresql://me:${HUSH}@h/lake` },
    { type: 'ducklake', catalog: 'postgres:dbname=lake', password: HUSH },
    { database: 'a.db', catalogs: { p: `postgres:dbname=x password=${HUSH}` } },
    { type: 'motherduck', token: { motherduck: { username: 'bot', admin_token: HUSH } } },
  ]

  test.each(WRITTEN)('are nowhere in the key: %j', (raw) => {
    const config = parse(raw)
    expect(JSON.stringify(normalize(config))).not.toContain(HUSH)
    expect(key(JSON.parse(JSON.stringify(raw).replaceAll(HUSH, 'another-one')) as Raw)).toBe(connectionKey(config))
    if (config.settings['s3_secret_access_key'] === undefined) expect(JSON.stringify(config)).not.toContain(HUSH)
  })

  test('are known by what is no secret', () => {
    expect(key(WRITTEN[5] ?? {})).toContain('AKIA1')
    expect(key(WRITTEN[8] ?? {})).toContain('https://t')
    expect(key({ type: 'quack', uri: 'q', token: { env: 'A_TOKEN' } })).toContain('A_TOKEN')
  })

  test('an environment variable is known by its name, never by its value', () => {
    const raw = { type: 'quack', uri: 'q', token: { env: 'A_TOKEN' } }
    const keys = ['one', 'two'].map((value) => connectionKey(parseConnection(raw, { root, env: { A_TOKEN: value } })))
    expect(new Set(keys).size).toBe(1)
    expect(keys[0]).not.toContain('one')
  })
})

describe('a configuration made by hand', () => {
  const withSecrets = (parameters: unknown): ConnectionConfig => {
    const config = parse({ database: 'a.db', secrets: [{ type: 'http' }] })
    const secrets = config.secrets?.map((secret) => ({ ...secret, parameters: { deep: parameters } }))
    return { ...config, secrets } as ConnectionConfig
  }

  test('may hold anything, nested to any depth', () => {
    const values = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withNullPrototype: true,
    })
    fc.assert(
      fc.property(values, (value) => {
        expect(connectionKey(withSecrets(value))).toBeTypeOf('string')
      }),
    )
    let deep: unknown = 'bottom'
    for (let level = 0; level < 20_000; level++) deep = level % 2 === 0 ? { x: deep } : [deep]
    expect(connectionKey(withSecrets(deep))).toContain('bottom')
    const circular: Raw = { n: 1n, f: () => 1, s: Symbol('s') }
    circular['self'] = { again: [circular] }
    expect(connectionKey(withSecrets(circular))).toContain('<circular>')
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    expect(
      connectionKey(
        withSecrets({
          get broken() {
            throw new Error('no')
          },
          proxy,
        }),
      ),
    ).toContain('<unreadable>')
  })

  test('has one key for one structure, and another for another', () => {
    const keyOf = (value: unknown) => connectionKey(withSecrets(value))
    expect(keyOf({ a: { b: 1, c: 2 } })).toBe(keyOf({ a: { c: 2, b: 1 } }))
    const all = [
      { a: { b: 1 } },
      { 'a.b': 1 },
      { a: [1] },
      { a: ['1'] },
      { 'a[0]': 1 },
      { a: { 0: 1 } },
      { a: {} },
      { a: [] },
    ]
    expect(new Set(all.map(keyOf)).size).toBe(all.length)
    const shared = { x: 1 }
    expect(keyOf({ a: shared, b: shared })).toBe(keyOf({ a: { x: 1 }, b: { x: 1 } }))
  })
})

const DEFAULTS: Raw = {
  type: 'duckdb',
  concurrent_tasks: 8,
  extensions: [],
  connector_config: { timezone: 'UTC' },
  catalogs: {},
  secrets: [],
  pool: { strategy: 'shared', writers: 'many' },
}

const CHANGES: Raw[] = [
  { database: 'another.db' },
  { concurrent_tasks: 77 },
  { connector_config: { threads: 77 } },
  { extensions: ['spatial'] },
  { extension_directory: 'another' },
  { catalogs: { another: 'another.db' } },
  { secrets: { another: { type: 'http' } } },
  { pool: { max_age: '77s' } },
]

const name = fc.constantFrom('a', 'b', 'c', 'lake', 'x_1')
const connections: fc.Arbitrary<Raw> = fc.record(
  {
    database: fc.constantFrom('data/a.db', 'linked/a.db', 'b.db', './c.db'),
    concurrent_tasks: fc.integer({ min: 1, max: 20 }),
    connector_config: fc.record(
      {
        threads: fc.integer({ min: 1, max: 8 }),
        memory_limit: fc.constantFrom('1GB', '512MiB', '2 gb'),
        preserve_insertion_order: fc.boolean(),
        temp_directory: fc.constantFrom('spill', './spill/x'),
      },
      { requiredKeys: [] },
    ),
    extensions: fc.uniqueArray(fc.constantFrom('icu', 'json', 'httpfs', 'fts')),
    extension_directory: fc.constantFrom('ext', './ext'),
    catalogs: fc.dictionary(
      name,
      fc.oneof(
        fc.constant(':memory:'),
        fc.record({ type: fc.constant('postgres'), path: fc.constant('host=h dbname=d'), read_only: fc.boolean() }),
        fc.record({
          type: fc.constant('quack'),
          uri: fc.constantFrom('q:1', 'quack:r'),
          token: fc.constant({ env: 'T' }),
        }),
      ),
    ),
    secrets: fc.dictionary(
      name,
      fc.record(
        {
          type: fc.constantFrom('s3', 'http', 'r2'),
          scope: fc.uniqueArray(fc.constantFrom('s3://a', 's3://b', 's3://c'), { minLength: 1 }),
          secret: fc.constantFrom({ env: 'A' }, { file: 'secret.txt' }, 'literal'),
          use_ssl: fc.boolean(),
          extra: fc.dictionary(name, fc.oneof(fc.nat(), fc.array(fc.nat()), fc.dictionary(name, fc.nat()))),
        },
        { requiredKeys: ['type'] },
      ),
    ),
    pool: fc.record(
      { strategy: fc.constantFrom('shared', 'single'), idle: fc.constantFrom('1s', '2m') },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ['database'] },
)

/** Where the order says nothing: keys of mappings, extensions, scopes. */
function shuffled(value: unknown, next: () => number): unknown {
  const sort = <T>(items: T[]): T[] =>
    items
      .map((item) => [next(), item] as const)
      .sort(([a], [b]) => a - b)
      .map(([, item]) => item)
  if (Array.isArray(value)) return value
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    sort(Object.entries(value)).map(([key, item]) => [
      key,
      (key === 'extensions' || key === 'scope') && Array.isArray(item)
        ? sort([...item] as unknown[])
        : shuffled(item, next),
    ]),
  )
}

const SPELLINGS: Record<string, (value: unknown) => unknown[]> = {
  database: (value) => [`./${String(value)}`, `data/../${String(value)}`, `duckdb:${String(value)}`],
  concurrent_tasks: (value) => [String(value)],
  threads: (value) => [String(value)],
  memory_limit: (value) => [String(value).toLowerCase(), String(value).replace(/(\d)([A-Z])/, '$1 $2')],
  preserve_insertion_order: spellingsOf,
  use_ssl: spellingsOf,
  read_only: spellingsOf,
  type: (value) => [String(value).toUpperCase()],
  strategy: (value) => [String(value).toUpperCase()],
  extensions: (value) => [(value as string[]).map((one) => ({ name: one.toUpperCase() })), JSON.stringify(value)],
  idle: (value) => [value === '2m' ? '120s' : 1],
}

function spellingsOf(value: unknown): unknown[] {
  return value === true ? ['true', 'TRUE', 1, '1'] : ['false', 'False', 0, '0']
}

function respelled(value: unknown, next: () => number): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const spellings = SPELLINGS[key]?.(item) ?? []
      const spelling = spellings[next() % (spellings.length + 1)]
      return [key, spelling ?? respelled(item, next)]
    }),
  )
}
