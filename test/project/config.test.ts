import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MillraceError, ProjectError } from '../../src/errors.ts'
import { loadConfig, type ProjectConfig } from '../../src/project/config.ts'

const LOCAL = 'gateways: {local: {connection: {type: duckdb, database: w.duckdb}}}\n'
let root: string
let home: string

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'millrace-config-'))
  home = mkdtempSync(join(tmpdir(), 'millrace-home-'))
})
afterEach(() => {
  rmSync(root, { recursive: true })
  rmSync(home, { recursive: true })
})

function write(path: string, content: string, folder = root): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), content)
}

async function load(config?: string, env: Record<string, string> = {}): Promise<ProjectConfig> {
  if (config !== undefined) write('config.yaml', config)
  return loadConfig(root, { HOME: home, ...env })
}

async function problems(config?: string, env: Record<string, string> = {}): Promise<readonly MillraceError[]> {
  return load(config, env).then(
    () => expect.unreachable('the configuration should be refused'),
    (error: unknown) => {
      if (!(error instanceof MillraceError)) throw error
      return error instanceof ProjectError ? error.problems : [error]
    },
  )
}

/** `CODE file:line` of each. */
async function places(config?: string, env: Record<string, string> = {}): Promise<string[]> {
  return (await problems(config, env)).map(({ code, file, line }) => `${code} ${file}:${line}`)
}

describe('a configuration', () => {
  it('is read in full', async () => {
    const config = await load(`project: shop
gateways:
  Local:
    connection: {type: duckdb, database: w.duckdb, concurrent_tasks: 4}
    variables: {Limit: 3}
    model_defaults: {start: 2023-01-01}
  cloud:
    connection: {type: motherduck, database: shop}
default_gateway: CLOUD
model_defaults: {dialect: DuckDB, start: 2024-01-01, cron: '@hourly'}
variables: {Min_Amount: 10, names: [a, b], nested: {a: {b: null}}, flag: true, text: yes}
model_naming: {infer_names: true}
time_column_format: '%Y%m%d'
ignore_patterns: ['scratch/*']
before_all: [SELECT 1]
after_all: [SELECT 2]
`)
    expect(config).toMatchObject({
      project: 'shop',
      gateways: {
        local: {
          connection: { type: 'duckdb', database: 'w.duckdb', concurrent_tasks: 4 },
          variables: { limit: 3 },
          modelDefaults: { start: '2023-01-01' },
        },
        cloud: { connection: { type: 'motherduck', database: 'shop' }, variables: {}, modelDefaults: {} },
      },
      defaultGateway: 'cloud',
      modelDefaults: { dialect: 'duckdb', start: '2024-01-01', cron: '@hourly' },
      variables: { min_amount: 10, names: ['a', 'b'], nested: { a: { b: null } }, flag: true, text: 'yes' },
      inferNames: true,
      timeColumnFormat: '%Y%m%d',
      ignorePatterns: ['scratch/*'],
      beforeAll: ['SELECT 1'],
      afterAll: ['SELECT 2'],
      notices: [],
      files: ['config.yaml'],
    })
    expect(config.locate(['model_defaults', 'cron'])).toEqual({ file: 'config.yaml', line: 10 })
    expect(config.locate(['gateways', 'local', 'variables'])).toEqual({ file: 'config.yaml', line: 5 })
  })

  it('has defaults for all but a gateway', async () => {
    expect(await load(LOCAL)).toMatchObject({
      project: basename(root),
      defaultGateway: 'local',
      modelDefaults: { dialect: 'duckdb' },
      variables: {},
      inferNames: false,
      timeColumnFormat: '%Y-%m-%d',
      ignorePatterns: ['.ipynb_checkpoints/*'],
      beforeAll: [],
      afterAll: [],
      millrace: { steps: [] },
    })
  })

  it.each(['config.yaml', 'config.yml', 'sqlmesh.yaml', 'sqlmesh.yml'])('is found in %s', async (file) => {
    write(file, LOCAL)
    expect((await load()).files).toEqual([file])
  })

  it.each([
    ['gateway: {connection: {type: duckdb}}', 'default', { type: 'duckdb' }],
    ['gateways: {connection: {type: duckdb}}', 'default', { type: 'duckdb' }],
    ['gateway: {mine: {connection: {type: duckdb}}}', 'mine', { type: 'duckdb' }],
    ['default_connection: {type: duckdb}', 'default', { type: 'duckdb' }],
    ['default_connection: {type: duckdb}\ngateways: {a: {variables: {x: 1}}}', 'a', { type: 'duckdb' }],
    ['default_connection: {type: duckdb}\ngateways: {a: }', 'a', { type: 'duckdb' }],
  ])('%j has one gateway', async (text, name, connection) => {
    const config = await load(text)
    expect(config.defaultGateway).toBe(name)
    expect(config.gateways[name]?.connection).toEqual(connection)
  })

  it('may say nothing for a key, and repeat itself with anchors and merge keys', async () => {
    const config = await load(`variables:
gateways:
  a: &a {connection: {type: duckdb}}
  b: {<<: *a, variables: {x: 1}}
`)
    expect(config.gateways['b']).toMatchObject({ connection: { type: 'duckdb' }, variables: { x: 1 } })
    expect(config.variables).toEqual({})
  })

  it('accepts what only SQLMesh knows, with one notice', async () => {
    const { notices } = await load(`gateways:
  local:
    connection: {type: duckdb}
    state_connection: {type: postgres, password: "{{ env_var('NOT_SET') }}"}
plan: {auto_categorize_changes: {sql: full}}
users: [{username: me}]
`)
    expect(notices).toEqual([expect.stringMatching(/^config\.yaml: .*plan, users, gateways\.local\.state_connection$/)])
  })
})

describe('what is wrong is refused', () => {
  it('no file: names those it looked for, and shows an example', async () => {
    const [problem] = await problems()
    expect(problem).toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('config.yaml, config.yml, sqlmesh.yaml'),
    })
    expect(problem?.hint).toContain('type: duckdb')
  })

  it('config.py, with what replaces it', async () => {
    write('config.py', 'config = None')
    expect((await problems())[0]).toMatchObject({
      code: 'PYTHON',
      file: 'config.py',
      hint: expect.stringContaining('config.yaml'),
    })
  })

  it.each(['config.yml', 'sqlmesh.yaml', 'config.py'])('two files: config.yaml and %s', async (other) => {
    write(other, LOCAL)
    const [problem] = await problems(LOCAL)
    expect(problem).toMatchObject({ code: 'CONFIG', message: expect.stringContaining(`config.yaml and ${other}`) })
  })

  it('a folder of that name, and text that is not UTF-8', async () => {
    mkdirSync(join(root, 'config.yaml'))
    expect(await places()).toEqual(['FILE config.yaml:1'])
    rmSync(join(root, 'config.yaml'), { recursive: true })
    writeFileSync(join(root, 'config.yaml'), Buffer.from('project: a\nx: caf\xe9\n', 'latin1'))
    expect(await places()).toEqual(['FILE config.yaml:2'])
  })

  it.each([
    ['a: [1\nb: 2\n', 'CONFIG config.yaml:2'],
    ['a: 1\na: 2\n', 'CONFIG config.yaml:2'],
    ['a: 1\n\tb: 2\n', 'CONFIG config.yaml:2'],
    ['- a\n', 'CONFIG config.yaml:1'],
    ['just text', 'CONFIG config.yaml:1'],
  ])('YAML: %j', async (text, place) => {
    expect(await places(text)).toEqual([place])
  })

  it('every wrong type at once, each with its line and what came', async () => {
    const found = await problems(`${LOCAL}project: 3
variables: [1]
model_naming:
  infer_names: perhaps
before_all: SELECT 1
ignore_patterns: [ok, 7, '[z-a]']
time_column_format: YYYY-MM-DD
model_defaults: duckdb
`)
    expect(found.map(({ line, message }) => `${line}: ${message}`).sort()).toEqual([
      "2: expected 'project' to be text (in quotes, if it looks like something else), got 3 (a number)",
      "3: expected 'variables' to be a mapping, got a list",
      "5: expected 'model_naming.infer_names' to be true or false, got 'perhaps' (text)",
      "6: expected 'before_all' to be a list, got 'SELECT 1' (text)",
      "7: expected 'ignore_patterns[1]' to be text (in quotes, if it looks like something else), got 7 (a number)",
      "7: expected 'ignore_patterns[2]' to be a glob pattern, got '[z-a]' (text)",
      "8: expected 'time_column_format' to be a strftime format with % directives, such as '%Y-%m-%d', got 'YYYY-MM-DD' (text)",
      "9: expected 'model_defaults' to be a mapping, got 'duckdb' (text)",
    ])
  })

  it('a connection that is no mapping, without telling what it is', async () => {
    const [problem] = await problems('gateways:\n  a:\n    connection: md:db?motherduck_token=s3cret\n')
    expect(problem).toMatchObject({
      code: 'CONFIG',
      line: 3,
      message: "expected 'gateways.a.connection' to be a mapping, got text",
    })
  })

  it.each([
    [`${LOCAL}modeldefaults: {}\n`, 2, "Did you mean 'model_defaults'? Known: project, gateways"],
    [`${LOCAL}snapshot_tl: x\n`, 2, "Did you mean 'snapshot_ttl'?"],
    [`${LOCAL}model_naming:\n  infer_name: true\n`, 3, "Did you mean 'infer_names'? Known: infer_names"],
    [
      'gateways:\n  a:\n    conection: {type: duckdb}\n    variables: {}\n',
      3,
      "Did you mean 'connection'? Known: connection, variables, model_defaults",
    ],
    [`${LOCAL}zzz: 1\n`, 2, 'Known: project, gateways'],
  ])('an unknown key with the known ones: %j', async (text, line, hint) => {
    const [problem] = await problems(text)
    expect(problem).toMatchObject({ code: 'CONFIG', file: 'config.yaml', line, hint: expect.stringContaining(hint) })
  })

  it.each([
    ['project: x\n', 1, /at least one gateway/],
    ['gateways: {}\n', 1, /at least one gateway/],
    ['gateways:\n  a: {variables: {}}\n', 2, /gateway 'a' to have a connection/],
    ['gateways:\n  a:\n    connection: {database: x}\n', 3, /gateway 'a' to have a type/],
    [`default_gateway: locl\n${LOCAL}`, 1, /one of local, got 'locl'/],
    [`${LOCAL}gateway: {connection: {type: duckdb}}\n`, 2, /either 'gateways' or 'gateway'/],
    ['gateways:\n  a: {connection: {type: duckdb}}\n  A: {connection: {type: duckdb}}\n', 3, /'A' is 'a' again/],
  ])('gateways: %j', async (text, line, message) => {
    const [problem] = await problems(text)
    expect(problem).toMatchObject({ code: 'CONFIG', file: 'config.yaml', line })
    expect(problem?.message).toMatch(message)
  })

  it('the nearest gateway is suggested', async () => {
    expect((await problems(`${LOCAL}default_gateway: locl\n`))[0]?.hint).toBe("Did you mean 'local'?")
  })

  it('another dialect, of the project or of a gateway', async () => {
    expect(await places(`${LOCAL}model_defaults:\n  start: 2024-01-01\n  dialect: snowflake\n`)).toEqual([
      'DIALECT config.yaml:4',
    ])
    const gateway = 'gateways:\n  a:\n    connection: {type: duckdb}\n    model_defaults: {dialect: spark}\n'
    expect(await places(gateway)).toEqual(['DIALECT config.yaml:4'])
  })
})

describe('Jinja', () => {
  it('fills in env_var and user, with the types that YAML gives them', async () => {
    const text = `gateways:
  {{ env_var('GATEWAY') }}:
    connection:
      type: duckdb
      database: "{{ env_var('FOLDER') }}/{{ env_var("FILE", 'w.duckdb') }}"
      concurrent_tasks: {{ env_var('TASKS', 8) }}
      threads: {{ env_var('THREADS') }}
      read_only: {{ env_var('READ_ONLY', 'false') }}
variables:
  quoted: '{{ env_var('THREADS') }}'
  user: "{{ user() }}"
  upper: "{{ env_var('FOLDER') | upper }}"
  chosen: {% if env_var('FOLDER') == '/data' %}yes{% else %}no{% endif %}
  either: {{ env_var('NOT_SET') or 'other' }}
  # {{ env_var('NOT_SET_IN_A_COMMENT') }}
  raw: "{% raw %}{{ x }}{% endraw %}"
`
    const config = await load(text, { GATEWAY: 'Prod', FOLDER: '/data', THREADS: '2' })
    expect(config.gateways['prod']?.connection).toEqual({
      type: 'duckdb',
      database: '/data/w.duckdb',
      concurrent_tasks: 8,
      threads: 2,
      read_only: false,
    })
    expect(config.variables).toEqual({
      quoted: '2',
      user: userInfo().username,
      upper: '/DATA',
      chosen: 'yes',
      either: 'other',
      raw: '{{ x }}',
    })
  })

  it('keeps a credential as a reference, wherever in a connection it is, and its value out', async () => {
    const config = await load(
      `gateways:
  cloud:
    connection:
      type: motherduck
      token: {{ env_var('TOKEN') }}
      other_token: "{{ env_var('NOT_SET') }}"
      password: "{{ env_var('NOT_SET', 'guest') }}"
      secrets:
        - {type: s3, key_id: "{{ env_var('KEY_ID') }}", secret: '{{ env_var("SECRET") }}', region: "{{ env_var('REGION') }}"}
      auth: {oauth2: {client_id: "{{ env_var('REGION') }}", client_secret: {{ env_var('SECRET') }} }}
variables: {token: "{{ env_var('REGION') }}"}
`,
      { TOKEN: 'very-secret', KEY_ID: 'id-secret', SECRET: 's-secret', REGION: 'eu' },
    )
    expect(config.gateways['cloud']?.connection).toEqual({
      type: 'motherduck',
      token: { env: 'TOKEN' },
      other_token: { env: 'NOT_SET' },
      password: 'guest',
      secrets: [{ type: 's3', key_id: { env: 'KEY_ID' }, secret: { env: 'SECRET' }, region: 'eu' }],
      auth: { oauth2: { client_id: 'eu', client_secret: { env: 'SECRET' } } },
    })
    expect(config.variables).toEqual({ token: 'eu' })
    expect(JSON.stringify({ ...config, env: null })).not.toMatch(/-secret/)
  })

  it('reports every missing variable with its name and line', async () => {
    const text = `${LOCAL}{# two
lines #}variables:
  a: "{{ env_var('ONE') }}"
  b: {x: ["x{{ env_var('TWO') }}"]}
`
    const found = await problems(text)
    expect(found.map(({ line, message }) => [line, /'(\w+)'/.exec(message)?.[1]])).toEqual([
      [4, 'ONE'],
      [5, 'TWO'],
    ])
    expect(found[0]?.hint).toContain('.env')
    expect(await places(`${LOCAL}variables:\n  a: "{{ env_var('ONE') | upper }}"\n`)).toEqual(['CONFIG config.yaml:3'])
  })

  it.each([
    [`${LOCAL}a: 1\nb: {{ env_var('X' }}\n`, 3],
    [`${LOCAL}a: {% if %}\n`, 2],
    [`${LOCAL}a: {{ nothing }}\n`, 2],
    [`${LOCAL}a: {{ nothing() }}\n`, 2],
    [`${LOCAL}a: {{ 'x' | nofilter }}\n`, 2],
  ])('that cannot be rendered is an error with its line: %j', async (text, line) => {
    expect((await problems(text))[0]).toMatchObject({ code: 'CONFIG', file: 'config.yaml', line })
  })

  it('that removes or repeats lines leaves the lines of errors right', async () => {
    const text = `{% set list = [1,
2] %}
${LOCAL}variables:
{% for i in [1, 2, 3] %}
  v{{ i }}: {{ i }}
{% endfor %}
nonsense: 1
`
    expect(await places(text)).toEqual(['CONFIG config.yaml:8'])
  })

  it('never shows the value of a variable in an error about the YAML', async () => {
    const text = `${LOCAL}variables: {a: "{{ env_var('SECRET') }}", b: [}\n`
    const found = await problems(text, { SECRET: 's3cret-value' })
    expect(JSON.stringify(found.map(({ message, hint }) => [message, hint]))).not.toContain('s3cret-value')
  })
})

describe('other places', () => {
  it('.env is laid over the environment, without changing it', async () => {
    write(
      '.env',
      `# comment
A=plain # comment
export B='single $A \${A}'
C="double\\n\${A}"
D=\${A}-\${MISSING:-fallback}
LINES="one
two"
EMPTY=
HASH=a#b
NAME_ONLY
not valid
`,
    )
    const env: Record<string, string> = { HOME: home, A: 'from outside', OTHER: 'kept' }
    write('config.yaml', `${LOCAL}variables: {a: "{{ env_var('A') }}"}\n`)
    const config = await loadConfig(root, env)
    expect(config.variables).toEqual({ a: 'plain' })
    expect(config.env).toMatchObject({
      A: 'plain',
      B: 'single $A ${A}',
      C: 'double\nplain',
      D: 'plain-fallback',
      LINES: 'one\ntwo',
      EMPTY: '',
      HASH: 'a#b',
      OTHER: 'kept',
    })
    expect(env['A']).toBe('from outside')
    expect(process.env['LINES']).not.toBe('one\ntwo')
    expect(config.files).toEqual(['config.yaml', '.env'])
    expect(config.notices).toEqual(['.env: expected NAME=value; passed over line 11'])
  })

  it('a folder called .env is passed over', async () => {
    mkdirSync(join(root, '.env'))
    expect((await load(LOCAL)).files).toEqual(['config.yaml'])
  })

  it('~/.sqlmesh wins over the project, key by key, and SQLMESH__ variables over both', async () => {
    write(
      '.sqlmesh/config.yaml',
      `gateways: {local: {connection: {database: "{{ env_var('DB', 'mine.duckdb') }}", threads: 3}}}
variables: {b: personal, c: personal, list: [3]}
env_vars: {FROM_PERSONAL: here}
`,
      home,
    )
    const config = await load(
      `gateways: {local: {connection: {type: duckdb, database: w.duckdb}}, other: {connection: {type: duckdb}}}
variables: {a: project, b: project, c: project, list: [1, 2], d: "{{ env_var('FROM_PERSONAL') }}"}
`,
      {
        SQLMESH__VARIABLES__C: '5',
        SQLMESH__DEFAULT_GATEWAY: 'other',
        SQLMESH__GATEWAYS__LOCAL__CONNECTION__THREADS: '7',
        SQLMESH__GATEWAYS__LOCAL__CONNECTION__TOKEN: 's3cret',
        SQLMESH__GATEWAYS__LOCAL__CONNECTION__EXTENSIONS: '["httpfs"]',
        SQLMESH__MODEL_NAMING__INFER_NAMES: 'true',
      },
    )
    expect(config.gateways['local']?.connection).toEqual({
      type: 'duckdb',
      database: 'mine.duckdb',
      threads: 7,
      token: { env: 'SQLMESH__GATEWAYS__LOCAL__CONNECTION__TOKEN' },
      extensions: ['httpfs'],
    })
    expect(config.defaultGateway).toBe('other')
    expect(config.inferNames).toBe(true)
    expect(config.variables).toEqual({ a: 'project', b: 'personal', c: '5', list: [3], d: 'here' })
    expect(config.files).toEqual(['config.yaml', '~/.sqlmesh/config.yaml'])
  })

  it('SQLMESH_HOME moves the personal file', async () => {
    write('config.yml', 'variables: {a: 1}\n', home)
    expect((await load(LOCAL, { SQLMESH_HOME: home })).variables).toEqual({ a: 1 })
  })

  it('errors name the place they are from', async () => {
    write('.sqlmesh/config.yaml', 'variables:\n  a: 1\nproject: 5\n', home)
    const found = await places(LOCAL, { SQLMESH__MODEL_NAMING__INFER_NAMES: 'perhaps', SQLMESH__PROJEKT: 'x' })
    expect(found.sort()).toEqual([
      'CONFIG environment variable SQLMESH__MODEL_NAMING__INFER_NAMES:null',
      'CONFIG environment variable SQLMESH__PROJEKT:null',
      'CONFIG ~/.sqlmesh/config.yaml:3',
    ])
  })
})

describe('millrace.yaml', () => {
  it('sets timeout and attempts by model', async () => {
    write(
      'millrace.yaml',
      "steps:\n  - {models: 'staging.*', timeout: 1h30m}\n  - {models: '*', attempts: {{ env_var('N', 2) }}}\n",
    )
    const config = await load(LOCAL)
    expect(config.millrace).toEqual({
      steps: [
        { models: 'staging.*', timeoutMs: 5_400_000, attempts: 5 },
        { models: '*', timeoutMs: 86_400_000, attempts: 2 },
      ],
      freshness: [],
    })
    expect(config.files).toEqual(['config.yaml', 'millrace.yaml'])
  })

  it('may be empty', async () => {
    write('millrace.yaml', '# nothing\n')
    expect((await load(LOCAL)).millrace).toEqual({ steps: [], freshness: [] })
  })

  it('limits the age of sources', async () => {
    write('millrace.yaml', 'freshness:\n  - {model: raw.t, column: at, error_after: 1d}\n')
    expect((await load(LOCAL)).millrace.freshness).toEqual([
      { model: 'raw.t', column: 'at', warnAfterMs: null, errorAfterMs: 86_400_000 },
    ])
    write('millrace.yaml', 'freshness:\n  - {model: raw.t, column: at}\n')
    const found = await problems(LOCAL)
    expect(found.map(({ line, message }) => [line, message])).toEqual([
      [2, expect.stringContaining('warn_after, error_after or both')],
    ])
  })

  it('reports wrong and unknown keys with their line', async () => {
    write(
      'millrace.yaml',
      `steps:
  - models: a
    timeout: soon
  - models: b
    attempts: 0
  - timeout: 1h
    retries: 3
step: []
`,
    )
    const found = await problems(LOCAL)
    expect(found.map(({ line, message, hint }) => `${line}: ${message} | ${hint}`).sort()).toEqual([
      expect.stringMatching(
        /^3: expected 'steps\[0\]\.timeout' to be a duration such as '2h', .*, got 'soon' \(text\)/,
      ),
      expect.stringMatching(/^5: expected 'steps\[1\]\.attempts' to be at least 1, got 0/),
      expect.stringMatching(/^6: expected 'steps\[2\]\.models' to be text.*, got nothing/),
      expect.stringMatching(
        /^7: expected a known key in 'steps\[2\]', got 'retries' \| Known: models, timeout, attempts/,
      ),
      expect.stringMatching(/^8: expected a known key, got 'step' \| Did you mean 'steps'\?/),
    ])
    expect(found.every(({ file, code }) => file === 'millrace.yaml' && code === 'CONFIG')).toBe(true)
  })
})
