/** Projects and command lines that are wrong: each says what, where and what to do, with exit 2, and nothing is written. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { runCli, type CliResult } from '../helpers/cli.ts'
import { CONFIG, createProject } from '../helpers/project.ts'

interface Problem {
  code: string
  message: string
  file: string | null
  line: number | null
  hint: string | null
  problems?: Problem[]
}

function errorOf({ stdout }: CliResult): Problem {
  const document = JSON.parse(stdout) as { error: Problem }
  expect(Object.keys(document)).toEqual(['error'])
  return document.error
}

interface BadProject {
  title: string
  files: Record<string, string>
  /** What files alone cannot say. */
  prepare?: (root: string) => Promise<unknown>
  args?: string[]
  code: string
  message: RegExp
  hint?: RegExp
  file?: string
  line?: number
}

const A = { 'models/a.sql': 'MODEL (name s.a, kind FULL);\nSELECT 1 AS x' }

/** Found when the project is loaded: neither Temporal nor the database is needed to say so. */
const BAD: BadProject[] = [
  {
    title: 'a syntax error',
    files: { ...A, 'models/b.sql': 'MODEL (name s.b, kind FULL);\n\nSELECT x,\n  FROM FROM s.a' },
    code: 'SQL_SYNTAX',
    message: /syntax error/i,
    file: 'models/b.sql',
    line: 4,
  },
  {
    title: 'a cycle, with its path',
    files: {
      'models/a.sql': 'MODEL (name s.a);\nSELECT * FROM s.c',
      'models/b.sql': 'MODEL (name s.b);\nSELECT * FROM s.a',
      'models/c.sql': 'MODEL (name s.c);\nSELECT * FROM s.b',
    },
    code: 'CYCLE',
    message: /s\.a.*s\.[bc].*s\.[bc].*s\.a/s,
    file: 'models/a.sql',
  },
  {
    title: 'two models of one name, with both files',
    files: { ...A, 'models/sub/again.sql': '\nMODEL (name s.a);\nSELECT 2 AS x' },
    code: 'DUPLICATE_MODEL',
    message: /models\/a\.sql/,
    file: 'models/sub/again.sql',
    line: 2,
  },
  {
    title: 'a missing seed, with the nearest file',
    files: { 'models/d.sql': "MODEL (name s.d,\n  kind SEED (path '../seeds/dims.csv'));", 'seeds/dim.csv': 'a\n1\n' },
    code: 'SEED',
    message: /dims\.csv/,
    hint: /dim\.csv/,
    file: 'models/d.sql',
  },
  {
    title: 'a wrong type in the config',
    files: { ...A, 'config.yaml': `${CONFIG}variables: [1, 2]\n` },
    code: 'CONFIG',
    message: /variables/,
    file: 'config.yaml',
    line: 5,
  },
  {
    title: 'an unknown key in the config',
    files: { ...A, 'config.yaml': `${CONFIG}default_gatway: local\n` },
    code: 'CONFIG',
    message: /default_gatway/,
    hint: /Did you mean 'default_gateway'/,
    file: 'config.yaml',
    line: 5,
  },
  {
    title: 'a Python config',
    files: { ...A },
    prepare: async (root) => {
      await rm(join(root, 'config.yaml'))
      await writeFile(join(root, 'config.py'), 'config = 1\n')
    },
    code: 'PYTHON',
    message: /config\.py/,
    file: 'config.py',
  },
  {
    title: 'a selection that matches nothing',
    files: A,
    args: ['--select', 's.aa'],
    code: 'SELECTION',
    message: /s\.aa/,
    hint: /Did you mean 's\.a'/,
  },
  {
    title: 'a selection by an unknown method',
    files: A,
    args: ['--select', 'tags:x'],
    code: 'SELECTION',
    message: /tags/,
  },
  {
    title: 'invalid UTF-8',
    files: A,
    prepare: (root) =>
      writeFile(join(root, 'models/b.sql'), Buffer.from('MODEL (name s.b);\nSELECT \xff AS x', 'latin1')),
    code: 'FILE',
    message: /UTF-8/,
    file: 'models/b.sql',
    line: 2,
  },
  {
    title: 'a dangling link',
    files: A,
    prepare: (root) => symlink('nowhere.sql', join(root, 'models/b.sql')),
    code: 'FILE',
    message: /link/,
    file: 'models/b.sql',
  },
  {
    title: 'a directory called x.sql',
    files: A,
    prepare: (root) => mkdir(join(root, 'models/x.sql')),
    code: 'FILE',
    message: /directory|folder/,
    file: 'models/x.sql',
  },
  {
    title: 'a Python model',
    files: {
      ...A,
      'models/p.py': 'from sqlmesh import model\n\n@model("s.p", columns={"a": "int"})\ndef execute(): ...\n',
    },
    code: 'PYTHON',
    message: /Python/,
    file: 'models/p.py',
  },
  {
    title: 'another dialect',
    files: { ...A, 'models/b.sql': 'MODEL (\n  name s.b,\n  dialect snowflake\n);\nSELECT 1 AS x' },
    code: 'DIALECT',
    message: /snowflake/,
    file: 'models/b.sql',
    line: 3,
  },
  {
    title: 'an unknown kind',
    files: { ...A, 'models/b.sql': 'MODEL (\n  name s.b,\n  kind FUL\n);\nSELECT 1 AS x' },
    code: 'MODEL',
    message: /FUL/,
    hint: /Did you mean '?FULL/,
    file: 'models/b.sql',
    line: 3,
  },
  {
    title: 'an unknown property',
    files: { ...A, 'models/b.sql': 'MODEL (\n  name s.b,\n  ownr me\n);\nSELECT 1 AS x' },
    code: 'MODEL',
    message: /ownr/,
    hint: /Did you mean '?owner/,
    file: 'models/b.sql',
    line: 3,
  },
  {
    title: 'an unknown macro',
    files: { ...A, 'models/b.sql': 'MODEL (name s.b);\nSELECT x,\n  @EACHH([1], y -> y)\nFROM s.a' },
    code: 'MACRO',
    message: /EACHH/i,
    hint: /EACH/,
    file: 'models/b.sql',
    line: 3,
  },
  {
    title: 'an unknown variable',
    files: { ...A, 'models/b.sql': 'MODEL (name s.b);\nSELECT @nope AS x' },
    code: 'MACRO',
    message: /nope/,
    file: 'models/b.sql',
    line: 2,
  },
  {
    title: 'a time_column format that is none',
    files: {
      ...A,
      'models/b.sql':
        "MODEL (\n  name s.b,\n  kind INCREMENTAL_BY_TIME_RANGE (time_column (d, 'YYYY-MM-dd'))\n);\nSELECT '2024-01-01' AS d",
    },
    code: 'MODEL',
    message: /YYYY-MM-dd/,
    hint: /%Y-%m-%d/,
    file: 'models/b.sql',
    line: 3,
  },
  {
    title: 'an unknown audit',
    files: { ...A, 'models/b.sql': 'MODEL (\n  name s.b,\n  audits (not_nul(columns := (x)))\n);\nSELECT x FROM s.a' },
    code: 'AUDIT',
    message: /not_nul/,
    hint: /Did you mean 'not_null'/,
    file: 'models/b.sql',
  },
  {
    title: 'an unknown gateway',
    files: A,
    args: ['--gateway', 'locl'],
    code: 'CONFIG',
    message: /locl/,
    hint: /local/,
  },
]

/** As many at a time as there are processors to spare. */
const BATCH = 4

describe('a project with', () => {
  const results = new Map<BadProject, { root: string; result: CliResult }>()

  it('one mistake each: a build ends with exit 2 and one JSON document, and starts nothing', async () => {
    const left = [...BAD]
    const work = async (): Promise<void> => {
      for (let bad = left.shift(); bad !== undefined; bad = left.shift()) {
        const root = await createProject(bad.files)
        await bad.prepare?.(root)
        const before = await readdir(root)
        const result = await runCli(['build', root, '--json', ...(bad.args ?? [])])
        results.set(bad, { root, result })
        wrong.push(...(result.code === 2 ? [] : [`${bad.title}: exit ${result.code}`]))
        wrong.push(
          ...(await readdir(root)).filter((name) => !before.includes(name)).map((name) => `${bad.title}: made ${name}`),
        )
      }
    }
    const wrong: string[] = []
    await Promise.all(Array.from({ length: BATCH }, work))
    expect(wrong).toEqual([])
  })

  it.each(BAD.map((bad) => [bad.title, bad] as const))('%s is told what, where and what to do', (_, bad) => {
    const found = results.get(bad)
    if (found === undefined) throw new Error('the build did not run')
    const error = errorOf(found.result)
    expect(error).toMatchObject({ code: bad.code, file: bad.file ?? error.file, line: bad.line ?? error.line })
    if (bad.file !== undefined) expect(error.line).toBeGreaterThan(0)
    expect(error.message).toMatch(bad.message)
    if (bad.hint !== undefined) expect(error.hint ?? '').toMatch(bad.hint)
    // For people the same, on standard error, and no stack trace.
    expect(found.result.stderr).toContain(`error[${bad.code}]`)
    if (bad.file !== undefined) expect(found.result.stderr).toContain(`(${bad.file}:`)
    expect(found.result.stderr).not.toMatch(/^\s+at /m)
  })
})

describe('several problems', () => {
  it('of one project are reported at once, each with its place; a stack only with --verbose', async () => {
    const root = await createProject({
      'models/a.sql': 'MODEL (name s.a, kind FUL);\nSELECT 1 AS x',
      'models/b.sql': 'MODEL (name s.b);\nSELECT FROM',
      'models/c.sql': 'MODEL (name s.c, dialect spark);\nSELECT 1 AS x',
    })
    const [result, verbose] = await Promise.all([
      runCli(['build', root, '--json']),
      runCli(['models', root, '--verbose']),
    ])
    expect(result, result.stderr).toMatchObject({ code: 2 })
    const error = errorOf(result)
    expect(error.code).toBe('PROJECT')
    expect(error.problems?.map(({ code, file }) => `${file} ${code}`).sort()).toEqual([
      'models/a.sql MODEL',
      'models/b.sql SQL_SYNTAX',
      'models/c.sql DIALECT',
    ])
    for (const { code, file, line } of error.problems ?? []) {
      expect(result.stderr).toMatch(new RegExp(`^error\\[${code}\\]: .*\\(${file}:${line}\\)`, 'm'))
    }
    expect(result.stderr).not.toMatch(/^\s+at /m)
    expect(verbose.code).toBe(2)
    expect(verbose.stderr).toMatch(/^\s+at /m)
    expect(existsSync(join(root, '.millrace'))).toBe(false)
  })
})

describe('what only the database can tell', () => {
  it("lets DuckDB's own views be read without a declaration", async () => {
    const root = await createProject({
      'models/t.sql':
        'MODEL (name s.t, kind FULL);\nSELECT table_name FROM information_schema.tables, duckdb_settings()',
    })
    const { code, stderr } = await runCli(['plan', root])
    expect(code, stderr).toBe(0)
    expect(existsSync(join(root, 'w.duckdb'))).toBe(false)
  })

  it('is told all at once: tables that are not there, with "Did you mean", and nothing is written', async () => {
    const root = await createProject({
      ...A,
      'models/b.sql': 'MODEL (name s.b);\nSELECT *\nFROM s.aa',
      'models/c.sql': "MODEL (name s.c);\nSELECT * FROM 'missing.csv', other.places",
    })
    for (const verb of ['plan', 'build']) {
      const result = await runCli([verb, root, '--json'])
      expect(result, result.stderr).toMatchObject({ code: 2 })
      const { problems } = errorOf(result)
      expect(problems?.map(({ code, file }) => `${code} ${file}`)).toEqual([
        'UNKNOWN_TABLE models/b.sql',
        'UNKNOWN_TABLE models/c.sql',
        'UNKNOWN_TABLE models/c.sql',
      ])
      expect(problems?.[0]).toMatchObject({ hint: "Did you mean 's.a'?" })
      expect(problems?.[0]?.line).toBeGreaterThan(0)
      expect(problems?.map(({ message }) => message).join()).toMatch(/missing\.csv.*other\.places/)
    }
    expect(existsSync(join(root, 'w.duckdb'))).toBe(false)
  })

  it('and what is not built yet is named with how to leave it out: exit 2', async () => {
    const root = await createProject({
      ...A,
      'models/k.sql': 'MODEL (name s.k, signals (ready()));\nSELECT x FROM s.a',
    })
    const refused = await runCli(['build', root, '--json'])
    expect(refused, refused.stderr).toMatchObject({ code: 2 })
    const error = errorOf(refused)
    expect(error).toMatchObject({ code: 'NOT_YET', file: 'models/k.sql', line: 1 })
    expect(error.hint).toContain('--exclude s.k')
    const planned = await runCli(['plan', root, '--json', '--exclude', 's.k'])
    expect(planned, planned.stderr).toMatchObject({ code: 0 })
  })
})

describe('a command line', () => {
  it('with an unknown verb, option or value, or a verb of later, is refused with exit 2', async () => {
    const root = await createProject(A)
    const cases = [
      { args: ['bild', root], code: 'USAGE', hint: /Did you mean 'build'/ },
      { args: ['build', root, '--full-refesh'], code: 'USAGE', hint: /Did you mean '--full-refresh'/ },
      { args: ['build', root, '--max-parallel', 'many'], code: 'USAGE', hint: null },
      { args: ['build', root, 'another', 'word'], code: 'USAGE', hint: /--help/ },
      { args: ['janitor', root], code: 'NOT_YET', hint: null },
      { args: ['build', root, '--environment', 'dev'], code: 'NOT_YET', hint: null },
      { args: ['build', root, '--start', 'someday'], code: 'USAGE', hint: null },
      { args: ['models', join(root, 'models')], code: 'CONFIG', hint: null },
    ]
    const results = await Promise.all(cases.map(({ args }) => runCli([...args, '--json'])))
    for (const [index, { args, code, hint }] of cases.entries()) {
      const result = results[index]
      if (result === undefined) throw new Error('no result')
      expect(result, `${args.join(' ')}: ${result.stderr}`).toMatchObject({ code: 2 })
      const error = errorOf(result)
      expect(error.code, args.join(' ')).toBe(code)
      if (hint !== null) expect(error.hint ?? '').toMatch(hint)
      expect(result.stderr).not.toMatch(/^\s+at /m)
    }
    expect((await readdir(root)).sort()).toEqual(['config.yaml', 'models'])
  })
})
