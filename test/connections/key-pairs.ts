/** Connections written in two ways, and whether they are one. Files and links: see `connection-key.test.ts`. */

type Raw = Record<string, unknown>

export interface KeyPair {
  title: string
  a: Raw
  b: Raw
}

const CLIENT = { token_url: 'https://login.example/token', client_id: 'millrace', client_secret: { env: 'SECRET' } }
const LAKE = { type: 'ducklake', catalog: 'postgres:dbname=lake host=db', data_path: 's3://bucket/lake' }
const S3 = { type: 's3', key_id: 'AKIA1', secret: { env: 'S3_SECRET' }, region: 'eu-west-1' }
const MD = { type: 'motherduck', database: 'analytics', token: { env: 'TOKEN' } }
const QUACK = { type: 'quack', uri: 'quack:db.internal', token: { env: 'TOKEN' } }

export const SAME: readonly KeyPair[] = [
  { title: 'the type left out', a: { database: 'a.db' }, b: { type: 'duckdb', database: 'a.db' } },
  { title: 'the type in capitals', a: { type: 'DuckDB', database: 'a.db' }, b: { type: 'duckdb', database: 'a.db' } },
  { title: './', a: { database: 'a.db' }, b: { database: './a.db' } },
  { title: '..', a: { database: 'a.db' }, b: { database: 'data/../a.db' } },
  { title: 'a doubled slash', a: { database: 'data/a.db' }, b: { database: 'data//a.db' } },
  { title: 'a link to a folder', a: { database: 'data/a.db' }, b: { database: 'linked/a.db' } },
  { title: 'a link to a file that is not there', a: { database: 'data/a.db' }, b: { database: 'dangling.db' } },
  { title: 'a link to a file', a: { database: 'data/old.db' }, b: { database: 'link.db' } },
  { title: '~', a: { database: '~/a.db' }, b: { database: '/home/ann/a.db' } },
  { title: 'duckdb: in front', a: { database: 'duckdb:a.db' }, b: { database: 'a.db' } },
  { title: 'in memory, in three ways', a: { database: '' }, b: { database: ':memory:' } },
  { title: 'in memory, unsaid', a: {}, b: { database: ':memory:' } },
  { title: 'null is nothing', a: { database: 'a.db', secrets: null, pool: null }, b: { database: 'a.db' } },
  { title: 'the default of concurrent_tasks', a: { database: 'a.db', concurrent_tasks: 8 }, b: { database: 'a.db' } },
  {
    title: 'a number as text',
    a: { database: 'a.db', concurrent_tasks: '4' },
    b: { database: 'a.db', concurrent_tasks: 4 },
  },
  {
    title: 'empty collections',
    a: { database: 'a.db', extensions: [], catalogs: {}, secrets: [], connector_config: {}, pool: {} },
    b: { database: 'a.db' },
  },
  {
    title: 'keys that mean nothing here',
    a: { database: 'a.db', pre_ping: true, register_comments: false, display_name: 'x' },
    b: { database: 'a.db' },
  },
  {
    title: 'a second name of a setting',
    a: { connector_config: { max_memory: '4GB', worker_threads: 2 } },
    b: { connector_config: { MEMORY_LIMIT: '4GB', Threads: '2' } },
  },
  {
    title: 'sizes',
    a: { connector_config: { memory_limit: '4 gb' } },
    b: { connector_config: { memory_limit: '4000MB' } },
  },
  {
    title: 'binary sizes',
    a: { connector_config: { memory_limit: '0.5GiB' } },
    b: { connector_config: { memory_limit: '512 mib' } },
  },
  {
    title: 'settings that are true',
    a: { connector_config: { preserve_insertion_order: 'TRUE', allow_unsigned_extensions: 1 } },
    b: { connector_config: { preserve_insertion_order: true, allow_unsigned_extensions: 't' } },
  },
  {
    title: 'settings that are false',
    a: { connector_config: { preserve_insertion_order: 'false' } },
    b: { connector_config: { preserve_insertion_order: 0 } },
  },
  {
    title: 'settings that are as they would be',
    a: { database: 'a.db', connector_config: { TimeZone: 'UTC', access_mode: 'AUTOMATIC' } },
    b: { database: 'a.db' },
  },
  {
    title: 'the case of a choice',
    a: { connector_config: { access_mode: 'READ_ONLY', default_null_order: 'NULLS FIRST' } },
    b: { connector_config: { access_mode: 'read_only', default_null_order: 'nulls_first' } },
  },
  {
    title: 'folders among the settings',
    a: { connector_config: { temp_directory: './spill/' } },
    b: { connector_config: { temp_directory: 'data/../spill' } },
  },
  {
    title: 'the order of settings',
    a: { connector_config: { threads: 1, memory_limit: '1GB' } },
    b: { connector_config: { memory_limit: '1GB', threads: 1 } },
  },
  {
    title: 'a link to a folder among the settings',
    a: { connector_config: { temp_directory: 'data/spill' } },
    b: { connector_config: { temp_directory: 'linked/spill' } },
  },
  {
    title: 'the folder of extensions as a setting',
    a: { connector_config: { extension_directory: './ext' } },
    b: { extension_directory: 'ext/' },
  },
  { title: 'the order of extensions', a: { extensions: ['icu', 'json'] }, b: { extensions: ['json', 'icu'] } },
  { title: 'an extension twice', a: { extensions: ['icu', 'ICU'] }, b: { extensions: ['icu'] } },
  { title: 'an extension as a mapping', a: { extensions: [{ name: 'icu' }] }, b: { extensions: ['icu'] } },
  {
    title: 'the repository that is meant anyway',
    a: { extensions: [{ name: 'icu', repository: 'core', force_install: true }] },
    b: { extensions: ['icu'] },
  },
  {
    title: 'a second name of an extension',
    a: { extensions: ['postgres', 's3'] },
    b: { extensions: ['httpfs', 'postgres_scanner'] },
  },
  { title: 'collections as JSON text', a: { extensions: '["icu"]' }, b: { extensions: ['icu'] } },
  {
    title: 'MotherDuck as a path',
    a: { type: 'duckdb', database: 'md:analytics', token: { env: 'TOKEN' } },
    b: MD,
  },
  { title: 'motherduck:', a: { ...MD, database: 'motherduck:analytics' }, b: MD },
  {
    title: 'the order of parameters',
    a: { ...MD, database: 'md:analytics?session_name=b&saas_mode=true' },
    b: { ...MD, database: 'md:analytics?saas_mode=true&session_name=b' },
  },
  {
    title: 'parameters as keys',
    a: { ...MD, database: 'md:analytics?saas_mode=1&session_name=b' },
    b: { ...MD, saas_mode: 'TRUE', session_name: 'b' },
  },
  { title: 'session_hint', a: { ...MD, session_hint: 'u1' }, b: { ...MD, session_name: 'u1' } },
  {
    title: 'a parameter in both places',
    a: { ...MD, database: 'analytics?attach_mode=single', attach_mode: 'SINGLE' },
    b: MD,
  },
  { title: 'the default of attach_mode', a: { ...MD, attach_mode: 'single' }, b: MD },
  {
    title: 'the default of attach_mode without a database',
    a: { type: 'motherduck', database: 'md:', attach_mode: 'workspace' },
    b: { type: 'motherduck' },
  },
  {
    title: 'the default token',
    a: { type: 'motherduck', token: { env: 'MOTHERDUCK_TOKEN' } },
    b: { type: 'motherduck' },
  },
  {
    title: 'durations',
    a: { ...MD, dbinstance_inactivity_ttl: '60s' },
    b: { ...MD, database: 'md:analytics?dbinstance_inactivity_ttl=1m' },
  },
  {
    title: 'parameters among the settings',
    a: { ...MD, connector_config: { motherduck_saas_mode: true, custom_user_agent: 'x' } },
    b: { ...MD, saas_mode: true, custom_user_agent: 'x' },
  },
  {
    title: 'another literal token, for it is a secret',
    a: { ...MD, token: 'one' },
    b: { type: 'motherduck', database: 'md:analytics?motherduck_token=two' },
  },
  { title: 'the case of a MotherDuck database', a: { ...MD, database: 'Analytics' }, b: MD },
  {
    title: 'the order within a credential',
    a: { ...QUACK, token: { oauth2: { ...CLIENT, scope: 'a b' } } },
    b: { ...QUACK, token: { oauth2: { scope: 'b a', ...CLIENT } } },
  },
  {
    title: "a credential's file",
    a: { ...QUACK, token: { file: 'data/../token' } },
    b: { ...QUACK, token: { file: './token' } },
  },
  { title: 'the default port', a: { ...QUACK, uri: 'quack:db.internal:9494' }, b: QUACK },
  { title: 'a host in capitals', a: { ...QUACK, uri: 'quack:DB.internal' }, b: QUACK },
  { title: 'slashes in a URI', a: { ...QUACK, uri: 'quack://db.internal:9494/' }, b: QUACK },
  { title: 'Quack as a path', a: { database: 'quack:localhost' }, b: { type: 'quack', uri: 'localhost' } },
  {
    title: 'plain HTTP on this machine',
    a: { type: 'quack', uri: 'quack:127.0.0.1', disable_ssl: 'true' },
    b: { type: 'quack', uri: 'quack:127.0.0.1' },
  },
  {
    title: "the order of PostgreSQL's parameters",
    a: LAKE,
    b: { ...LAKE, catalog: "postgres:host = 'db' dbname=lake" },
  },
  { title: "PostgreSQL's default port", a: LAKE, b: { ...LAKE, catalog: 'postgres:dbname=lake host=db port=5432' } },
  { title: 'PostgreSQL as a URL', a: LAKE, b: { ...LAKE, catalog: 'postgresql://DB:5432/lake' } },
  { title: 'ducklake: in front', a: LAKE, b: { ...LAKE, catalog: `ducklake:${LAKE.catalog}` } },
  { title: 'a lake as a path', a: { database: 'ducklake:l.ducklake' }, b: { type: 'ducklake', catalog: 'l.ducklake' } },
  { title: 'a slash at the end of a folder', a: LAKE, b: { ...LAKE, data_path: 's3://bucket/lake/' } },
  {
    title: 'defaults of a lake',
    a: { ...LAKE, encrypted: 'false', metadata_schema: 'public', database: 'lake' },
    b: LAKE,
  },
  {
    title: 'a file of SQLite',
    a: { type: 'ducklake', catalog: 'sqlite:./data/../lake.sqlite' },
    b: { type: 'ducklake', catalog: 'sqlite:lake.sqlite' },
  },
  {
    title: 'a catalog as text',
    a: { database: 'a.db', catalogs: { b: 'b.db' } },
    b: { database: 'a.db', catalogs: { B: { type: 'duckdb', path: './b.db', read_only: 'False' } } },
  },
  {
    title: 'the order of catalogs beside a main database',
    a: { database: 'a.db', catalogs: { b: 'b.db', c: 'c.db' } },
    b: { database: 'a.db', catalogs: { c: 'c.db', b: 'b.db' } },
  },
  {
    title: 'a catalog of PostgreSQL',
    a: { database: 'a.db', catalogs: { pg: 'postgres:dbname=x host=db' } },
    b: { database: 'a.db', catalogs: { pg: { type: 'postgres', path: 'host=db dbname=x' } } },
  },
  {
    title: 'a catalog of a lake',
    a: { database: 'a.db', catalogs: { l: 'ducklake:l.ducklake' } },
    b: { database: 'a.db', catalogs: { l: { type: 'ducklake', path: 'l.ducklake', encrypted: false } } },
  },
  { title: 'secrets in another order', a: { secrets: [S3, { type: 'http' }] }, b: { secrets: [{ type: 'http' }, S3] } },
  { title: 'a secret with the name that it has', a: { secrets: [S3] }, b: { secrets: { __default_S3: S3 } } },
  {
    title: 'a scope that is alone',
    a: { secrets: [{ ...S3, scope: 's3://a' }] },
    b: { secrets: [{ ...S3, scope: ['s3://a'] }] },
  },
  {
    title: 'scopes in another order',
    a: { secrets: [{ ...S3, scope: ['s3://a', 's3://b'] }] },
    b: { secrets: [{ ...S3, scope: ['s3://b', 's3://a'] }] },
  },
  {
    title: 'spellings within a secret',
    a: { secrets: [{ ...S3, TYPE: undefined, type: 'S3', provider: 'CONFIG', use_ssl: 'TRUE', port: 9000 }] },
    b: { secrets: [{ ...S3, use_ssl: 1, port: '9000' }] },
  },
  { title: 'the pool that is meant anyway', a: { database: 'a.db', pool: 'shared' }, b: { database: 'a.db' } },
  {
    title: 'a pool as a mapping',
    a: { database: 'a.db', pool: 'single' },
    b: { database: 'a.db', pool: { strategy: 'SINGLE', writers: 'many' } },
  },
  { title: 'durations of a pool', a: { pool: { max_age: '1h' } }, b: { pool: { max_age: 3600 } } },
]

export const DIFFERENT: readonly KeyPair[] = [
  { title: 'files', a: { database: 'a.db' }, b: { database: 'b.db' } },
  { title: 'the case of a file', a: { database: 'a.db' }, b: { database: 'A.db' } },
  { title: 'a file and memory', a: { database: 'memory' }, b: { database: ':memory:' } },
  { title: 'names of databases in memory', a: { database: ':memory:a' }, b: { database: ':memory:b' } },
  { title: 'concurrent_tasks', a: { database: 'a.db', concurrent_tasks: 4 }, b: { database: 'a.db' } },
  { title: 'a setting', a: { connector_config: { threads: 1 } }, b: { connector_config: { threads: 2 } } },
  { title: 'a setting more', a: { connector_config: { threads: 1 } }, b: {} },
  {
    title: 'decimal and binary units',
    a: { connector_config: { memory_limit: '4GB' } },
    b: { connector_config: { memory_limit: '4GiB' } },
  },
  {
    title: 'text that looks like a boolean',
    a: { connector_config: { schema: 'TRUE' } },
    b: { connector_config: { schema: 'true' } },
  },
  {
    title: 'the order of a search path',
    a: { connector_config: { search_path: 'a,b' } },
    b: { connector_config: { search_path: 'b,a' } },
  },
  { title: 'an extension more', a: { extensions: ['icu'] }, b: { extensions: ['icu', 'json'] } },
  {
    title: "an extension's repository",
    a: { extensions: ['quack'] },
    b: { extensions: [{ name: 'quack', repository: 'core_nightly' }] },
  },
  { title: 'the folder of extensions', a: { extension_directory: 'ext' }, b: { extension_directory: 'ext2' } },
  { title: 'MotherDuck databases', a: MD, b: { ...MD, database: 'other' } },
  { title: 'MotherDuck and a file', a: { database: 'analytics' }, b: MD },
  { title: 'attach_mode', a: MD, b: { ...MD, attach_mode: 'workspace' } },
  { title: 'saas_mode', a: MD, b: { ...MD, database: 'md:analytics?saas_mode=true' } },
  { title: 'session_name, in its case', a: { ...MD, session_name: 'a' }, b: { ...MD, session_name: 'A' } },
  { title: 'variables of tokens', a: MD, b: { ...MD, token: { env: 'OTHER' } } },
  { title: 'the kind of a token', a: { ...MD, token: 'TOKEN' }, b: MD },
  { title: 'files of tokens', a: { ...MD, token: { file: 'a' } }, b: { ...MD, token: { file: 'b' } } },
  {
    title: 'the order of a command',
    a: { ...MD, token: { command: ['get', 'a', 'b'] } },
    b: { ...MD, token: { command: ['get', 'b', 'a'] } },
  },
  {
    title: 'OAuth clients',
    a: { ...QUACK, token: { oauth2: CLIENT } },
    b: { ...QUACK, token: { oauth2: { ...CLIENT, client_id: 'other' } } },
  },
  {
    title: 'OAuth audiences',
    a: { ...QUACK, token: { oauth2: CLIENT } },
    b: { ...QUACK, token: { oauth2: { ...CLIENT, audience: 'x' } } },
  },
  { title: 'service accounts', a: { ...MD, token: account('a') }, b: { ...MD, token: account('b') } },
  { title: 'ports', a: QUACK, b: { ...QUACK, uri: 'quack:db.internal:9495' } },
  { title: 'hosts', a: QUACK, b: { ...QUACK, uri: 'quack:db2.internal' } },
  { title: 'databases on a server', a: QUACK, b: { ...QUACK, database: 'other' } },
  { title: 'transport', a: QUACK, b: { ...QUACK, disable_ssl: true } },
  { title: 'a token and none', a: QUACK, b: { type: 'quack', uri: 'quack:db.internal' } },
  { title: 'lakes', a: LAKE, b: { ...LAKE, catalog: 'postgres:dbname=other host=db' } },
  { title: 'users of a lake', a: LAKE, b: { ...LAKE, catalog: 'postgres:dbname=lake host=db user=me' } },
  { title: 'kinds of catalogs', a: { type: 'ducklake', catalog: 'x' }, b: { type: 'ducklake', catalog: 'sqlite:x' } },
  { title: 'where a lake keeps its data', a: LAKE, b: { ...LAKE, data_path: 's3://bucket/Lake' } },
  { title: "a lake's encryption", a: LAKE, b: { ...LAKE, encrypted: true } },
  { title: "a lake's schema", a: LAKE, b: { ...LAKE, metadata_schema: 'lake2' } },
  { title: "a lake's inlining, none and the default", a: LAKE, b: { ...LAKE, data_inlining_row_limit: 0 } },
  { title: 'credentials of a lake', a: { ...LAKE, password: { env: 'A' } }, b: { ...LAKE, password: { env: 'B' } } },
  { title: 'a catalog more', a: { database: 'a.db' }, b: { database: 'a.db', catalogs: { b: 'b.db' } } },
  {
    title: 'names of catalogs',
    a: { database: 'a.db', catalogs: { b: 'b.db' } },
    b: { database: 'a.db', catalogs: { c: 'b.db' } },
  },
  {
    title: 'a catalog to read only',
    a: { database: 'a.db', catalogs: { b: 'b.db' } },
    b: { database: 'a.db', catalogs: { b: { path: 'b.db', read_only: true } } },
  },
  {
    title: 'which catalog is the first, where no other is the main one',
    a: { catalogs: { a: 'a.db', b: 'b.db' } },
    b: { catalogs: { b: 'b.db', a: 'a.db' } },
  },
  {
    title: 'catalogs as the main one and beside memory',
    a: { catalogs: { a: 'a.db' } },
    b: { database: ':memory:', catalogs: { a: 'a.db' } },
  },
  { title: 'a path and a name of SQLite', a: { catalogs: { s: 'sqlite:s.db' } }, b: { catalogs: { s: 's.db' } } },
  { title: 'keys of secrets', a: { secrets: [S3] }, b: { secrets: [{ ...S3, key_id: 'AKIA2' }] } },
  { title: 'variables of secrets', a: { secrets: [S3] }, b: { secrets: [{ ...S3, secret: { env: 'B' } }] } },
  { title: 'scopes of secrets', a: { secrets: [S3] }, b: { secrets: [{ ...S3, scope: 's3://a' }] } },
  { title: 'names of secrets', a: { secrets: { a: S3 } }, b: { secrets: { b: S3 } } },
  {
    title: 'something deep within a secret',
    a: { secrets: { a: { type: 'http', extra_http_headers: { 'X-Tenant': 'a' } } } },
    b: { secrets: { a: { type: 'http', extra_http_headers: { 'X-Tenant': 'b' } } } },
  },
  { title: 'strategies', a: { database: 'a.db' }, b: { database: 'a.db', pool: 'single' } },
  { title: 'writers', a: { database: 'a.db' }, b: { database: 'a.db', pool: { writers: 'one' } } },
  { title: 'ages', a: { pool: { max_age: '1h' } }, b: { pool: { max_age: '1m' } } },
]

function account(username: string): Raw {
  return { motherduck: { username, admin_token: { env: 'ADMIN' } } }
}
