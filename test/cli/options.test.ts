import { describe, expect, test } from 'vitest'
import { parseCommandLine } from '../../src/cli/options.ts'
import { MillraceError } from '../../src/errors.ts'
import { runCli } from '../helpers/cli.ts'

function problemOf(argv: readonly string[]): MillraceError {
  try {
    parseCommandLine(argv)
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
  throw new Error('it was accepted')
}

describe('the command line', () => {
  test('the first word is the verb, the others are its arguments, options stand anywhere', () => {
    const { verb, args, options } = parseCommandLine(['--json', 'render', 'shop', '--start', '2024-01-01', 'a.b'])
    expect({ verb, args }).toEqual({ verb: 'render', args: ['shop', 'a.b'] })
    expect(options).toMatchObject({ json: true, start: '2024-01-01' })
  })

  test('nothing but options is no verb', () => {
    expect(parseCommandLine(['--help'])).toMatchObject({ verb: null, args: [], options: { help: true } })
  })

  test('what is not given has its default', () => {
    expect(parseCommandLine(['build']).options).toEqual({
      address: null,
      adopt: false,
      auto: false,
      catchUp: null,
      cron: [],
      detach: false,
      dryRun: false,
      end: null,
      environment: 'prod',
      every: null,
      exclude: null,
      executionTime: null,
      failFast: false,
      fix: false,
      file: null,
      format: null,
      fullRefresh: false,
      gateway: null,
      graceSeconds: 30,
      help: false,
      includeCtes: false,
      jitter: null,
      json: false,
      keep: false,
      limit: 1000,
      lockTimeoutSeconds: 60,
      logFormat: null,
      maxParallel: null,
      metrics: null,
      name: null,
      namespace: null,
      noFailFast: false,
      note: null,
      offset: null,
      onConflict: null,
      overlap: null,
      overwrite: false,
      path: null,
      pauseOnFailure: false,
      paused: false,
      project: null,
      prune: false,
      queries: {},
      quiet: false,
      select: null,
      start: null,
      strict: false,
      taskQueue: null,
      timeZone: null,
      vars: {},
      verbose: false,
      version: false,
      waitSeconds: 60,
      watch: false,
    })
  })

  test('a query of a table is written with or without an equals sign', () => {
    const { args, options } = parseCommandLine([
      'v',
      'm',
      '--query',
      'a.b',
      'SELECT 1',
      '--query',
      'c=SELECT 2 = 2',
      'x',
    ])
    expect(options.queries).toEqual({ 'a.b': 'SELECT 1', c: 'SELECT 2 = 2' })
    expect(args).toEqual(['m', 'x'])
  })

  test('every shared option is read', () => {
    const words = '--gateway g --environment dev --select +a --exclude tag:x --start 2024-01-01 --end now'.split(' ')
    const more = '--execution-time today --full-refresh --max-parallel 4 --fail-fast --address h:1'.split(' ')
    const last = '--namespace n --task-queue q --wait 1.5 --lock-timeout 0 --detach --keep --json --quiet'.split(' ')
    expect(parseCommandLine(['build', ...words, ...more, ...last, '--verbose']).options).toMatchObject({
      gateway: 'g',
      environment: 'dev',
      select: '+a',
      exclude: 'tag:x',
      start: '2024-01-01',
      end: 'now',
      executionTime: 'today',
      fullRefresh: true,
      maxParallel: 4,
      failFast: true,
      address: 'h:1',
      namespace: 'n',
      taskQueue: 'q',
      waitSeconds: 1.5,
      lockTimeoutSeconds: 0,
      detach: true,
      keep: true,
      json: true,
      quiet: true,
      verbose: true,
    })
  })

  test('--var may come several times; its value may hold equals signs', () => {
    expect(parseCommandLine(['build', '--var', 'a=1', '--var=b=x=y', '--var', 'c=']).options.vars).toEqual({
      a: '1',
      b: 'x=y',
      c: '',
    })
  })

  test.each([
    [['build', '--slect', 'a'], /'--slect'/, "Did you mean '--select'?"],
    [['build', '--nothing-like-it'], /--select .*'--nothing-like-it'/, 'see --help'],
    [['build', '--select'], /--select/, 'see --help'],
    [['build', '--json=yes'], /--json/, 'see --help'],
  ])('%j is refused and says what is known', (argv, message, hint) => {
    expect(problemOf(argv)).toMatchObject({ code: 'USAGE', message: expect.stringMatching(message), hint })
  })

  test.each([
    [['--wait', 'soon'], /--wait: expected a number of seconds of at least 0; got 'soon'/],
    [['--lock-timeout', '-1'], /--lock-timeout/],
    [['--max-parallel', '0'], /--max-parallel: expected a whole number of at least 1; got '0'/],
    [['--max-parallel', '1.5'], /got '1.5'/],
    [['--on-conflict', 'wait'], /queue, join, reject, preempt; got 'wait'/],
    [['--var', 'novalue'], /--var: expected NAME=VALUE; got 'novalue'/],
    [['--var', '=1'], /--var/],
  ])('%j is no value', (words, message) => {
    expect(problemOf(['build', ...words])).toMatchObject({ code: 'USAGE', message: expect.stringMatching(message) })
  })
})

describe('client.ts', () => {
  test('an unknown verb ends with exit code 2, names the nearest, and leaves standard output empty', async () => {
    const { code, stdout, stderr } = await runCli(['buil'])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(
      /^error\[USAGE\]: expected one of the verbs .*; got 'buil'\n {2}hint: Did you mean 'build'\?\n$/,
    )
  })

  test('with --json an error is the one document on standard output', async () => {
    const { code, stdout, stderr } = await runCli(['plan', '--json', '--project', '/nowhere/at/all'])
    expect(code).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject({
      error: { code: 'CONFIG', message: expect.any(String), file: null, line: null },
    })
    expect(stderr).toMatch(/^error\[CONFIG\]/)
    expect(stderr).not.toContain('    at ')
  })

  test('a verb of a later version answers NOT_YET', async () => {
    const { code, stderr } = await runCli(['lint'])
    expect(code).toBe(2)
    expect(stderr).toMatch(/^error\[NOT_YET\]: .*'lint'/)
  })
})
