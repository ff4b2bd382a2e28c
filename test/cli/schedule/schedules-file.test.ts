import { describe, expect, test } from 'vitest'
import { parseSchedulesFile } from '../../../src/cli/schedule/schedules-file.ts'
import { formatError, MillraceError } from '../../../src/errors.ts'

function problems(text: string): string {
  try {
    parseSchedulesFile(text, 'schedules.yaml')
  } catch (error) {
    if (error instanceof MillraceError) return formatError(error)
    throw error
  }
  throw new Error('it was accepted')
}

describe('schedules.yaml', () => {
  test('says of a schedule all that the command line can', () => {
    const { schedules } = parseSchedulesFile(
      `schedules:
  nightly:
    cron: ['30 2 * * 1-5', '@monthly']
    time_zone: Europe/Berlin
    jitter: 5m
    overlap: buffer-one
    catch_up: 2h
    pause_on_failure: true
    note: by night
    paused: false
    on_conflict: join
    environment: prod
    gateway: cloud
    select: +marts.*
    exclude: tag:slow
    start: 1 week ago
    max_parallel: 4
    fail_fast: true
    vars: { region: eu, limit: 10 }
    task_queue: nights
`,
      'schedules.yaml',
    )
    expect(schedules).toEqual([
      {
        line: 2,
        settings: {
          name: 'nightly',
          when: { crons: ['30 2 * * 1-5', '@monthly'] },
          timeZone: 'Europe/Berlin',
          jitterMs: 300_000,
          overlap: 'buffer-one',
          catchUpMs: 7_200_000,
          pauseOnFailure: true,
          note: 'by night',
          paused: false,
          taskQueue: 'nights',
          input: {
            environment: 'prod',
            gateway: 'cloud',
            select: '+marts.*',
            exclude: 'tag:slow',
            start: '1 week ago',
            maxParallel: 4,
            failFast: true,
            vars: { region: 'eu', limit: '10' },
            lockTimeoutSeconds: 60,
            onConflict: 'join',
          },
        },
      },
    ])
  })

  test('leaves out what has a default', () => {
    const { schedules } = parseSchedulesFile('schedules:\n  a: { every: 1h, offset: 5m }\n  b: { auto: true }', 'f')
    expect(schedules.map(({ settings }) => [settings.name, settings.when])).toEqual([
      ['a', { everyMs: 3_600_000, offsetMs: 300_000 }],
      ['b', 'auto'],
    ])
    expect(schedules[0]?.settings).toMatchObject({
      overlap: 'skip',
      catchUpMs: 3_600_000,
      note: null,
      paused: null,
      input: { environment: 'prod', onConflict: 'queue' },
    })
  })

  test('has each mistake with its line', () => {
    const text = `schedules:
  a:
    cron: 5
    overlap: skipp
    catch_up: 1s
  b:
    every: 1 fortnight
    tz: UTC
`
    expect(problems(text).split('\n')).toEqual([
      "error[CONFIG]: expected 'schedules.a.cron' to be a cron such as '0 6 * * 1-5', or a list of them, got 5 (a number) (schedules.yaml:3)",
      "error[CONFIG]: expected 'schedules.a.overlap' to be one of skip, buffer-one, buffer-all, cancel-other, terminate-other, allow-all, got 'skipp' (text) (schedules.yaml:4)",
      "error[CONFIG]: expected 'schedules.a.catch_up' to be a duration of at least 10 s such as '90s', '5m' or '1h30m', got '1s' (text) (schedules.yaml:5)",
      "error[CONFIG]: expected 'schedules.b.every' to be a duration of at least 1 s such as '90s', '5m' or '1h30m', got '1 fortnight' (text) (schedules.yaml:7)",
      "error[CONFIG]: expected a known key in 'schedules.b', got 'tz' (schedules.yaml:8)",
      expect.stringContaining('Known: cron, every, offset, auto, time_zone') as unknown as string,
    ])
  })

  test.each([
    ['schedules:\n  a: {}', "expected one of 'cron', 'every' and 'auto: true' in 'a', got none"],
    ['schedules:\n  a: { auto: true, every: 1h }', "in 'a', got every and auto"],
    ['schedules:\n  a: { auto: true, time_zone: UTC }', "expected no 'time_zone' beside 'auto' in 'a'"],
    ['schedules:\n  a: { every: 1h, offset: 1h }', "expected 'offset' in 'a' beside a longer 'every'"],
    ['schedules:\n  a b: { auto: true }', "expected a schedule's name"],
    ['nightly: { auto: true }', "expected a known key, got 'nightly'"],
  ])('%j is refused', (text, message) => {
    expect(problems(text)).toContain(message)
  })
})
