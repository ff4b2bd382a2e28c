/** What `schedule create` refuses before it looks for a server. */
import { describe, expect, test } from 'vitest'
import { scheduleVerb } from '../../../src/cli/verbs/schedule.ts'
import { createProject, TWO_MODELS } from '../../helpers/project.ts'
import { errorOf, runVerb } from '../run-verb.ts'

/** A port that nobody listens on: what comes so far asked for nothing wrong. */
const NOWHERE = ['--address', '127.0.0.1:1']

async function refusal(root: string, ...words: string[]) {
  return errorOf(runVerb(scheduleVerb, root, ['create', ...words, ...NOWHERE]))
}

describe('schedule create refuses', () => {
  test.each([
    [[], 'expected one of --cron EXPR, --every DURATION or --auto; got none'],
    [['--auto', '--every', '1h'], 'got --every and --auto'],
    [['--every', 'often'], '--every: expected a duration of at least 1 s'],
    [['--every', '1h', '--offset', '2h'], '--offset: expected less than --every 1h'],
    [['--auto', '--offset', '5m'], '--offset: expected --every beside it'],
    [['--auto', '--time-zone', 'UTC'], '--auto: expected no --time-zone'],
    [['--cron', '@daily', '--time-zone', 'Berlin'], 'expected an IANA time zone'],
    [['--cron', '@daily', '--overlap', 'skp'], '--overlap: expected skip, buffer-one'],
    [['--cron', '@daily', '--catch-up', '1s'], '--catch-up: expected a duration of at least 10 s'],
    [['--cron', '@daily', '--overlap', 'allow-all', '--pause-on-failure'], "another overlap than 'allow-all'"],
    [['--cron', '@daily', '--start', 'soon'], "got 'soon'"],
    [['--cron', '@daily', '--prune'], '--prune: expected --file beside it'],
    [['a/b', '--cron', '@daily'], "expected a schedule's name"],
    [['--cron', '61 * * * *'], "Invalid cron '61 * * * *'"],
  ])('%j', async (words, message) => {
    const error = await refusal(await createProject(TWO_MODELS), ...words)
    expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining(message) as unknown })
  })

  test.each([
    ['0 0 0 * * *', 'leave out seconds and years; --every 30s fires more often than each minute'],
    ['@every 5m', 'write --every 5m'],
    ['CRON_TZ=Europe/Berlin 0 0 * * *', 'name the zone with --time-zone'],
    ['@dayly', "Did you mean '@daily'?"],
  ])('the cron %j, with what to write instead', async (cron, hint) => {
    const error = await refusal(await createProject(TWO_MODELS), '--cron', cron)
    expect(error).toMatchObject({ code: 'USAGE', hint })
  })

  test('a selection that matches nothing', async () => {
    const error = await refusal(await createProject(TWO_MODELS), '--cron', '@daily', '--select', 's.nothing')
    expect(error.code).toBe('SELECTION')
  })

  test('--auto over models of two time zones, and over none that is ever due', async () => {
    const root = await createProject({
      'models/a.sql': "MODEL (name s.a, kind FULL, cron_tz 'Europe/Berlin');\nSELECT 1 AS x",
      'models/b.sql': 'MODEL (name s.b, kind FULL);\nSELECT 1 AS x',
      'models/c.sql': "MODEL (name s.c, kind SEED (path 'c.csv'));",
      'models/c.csv': 'x\n1\n',
    })
    expect((await refusal(root, '--auto')).message).toContain("'s.a' ticks in Europe/Berlin, 's.b' in UTC")
    expect((await refusal(root, '--auto', '--select', 's.c')).message).toContain('expected a model with a cron')
  })

  test('a mistake of a file, by the schedule and its line', async () => {
    const root = await createProject({
      ...TWO_MODELS,
      'schedules.yaml': 'schedules:\n  a: { cron: "@daily" }\n  b:\n    cron: "0 0 0 * * *"\n',
    })
    const error = await refusal(root, '--file', `${root}/schedules.yaml`)
    expect(error).toMatchObject({ code: 'USAGE', line: 3, message: expect.stringContaining('b: ') as unknown })
    expect(await refusal(root, '--file', `${root}/none.yaml`)).toMatchObject({ code: 'USAGE' })
  })

  test('everything else goes on to the server', async () => {
    const root = await createProject(TWO_MODELS)
    const error = await refusal(root, 'nightly', '--cron', '@daily')
    expect(error).toMatchObject({
      code: 'TEMPORAL_UNAVAILABLE',
      message: expect.stringContaining('a schedule needs a server that outlives the command') as unknown,
    })
  })
})

test('an action that is none is told the known ones', async () => {
  const root = await createProject(TWO_MODELS)
  const error = await errorOf(runVerb(scheduleVerb, root, ['lst']))
  expect(error).toMatchObject({ code: 'USAGE', hint: "Did you mean 'list'?" })
  expect(error.message).toContain('create, list, describe, pause, unpause, trigger, backfill, delete')
})
