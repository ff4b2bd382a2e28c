import { describe, expect, test } from 'vitest'
import { emptyCounts, type BuildProgress, type ModelProblem } from '../../src/payloads.ts'
import { toDetails as toText } from '../../src/workflows/progress.ts'

const MAX_BYTES = 4096

/** Without the empty paragraph at the end, which all of them have. */
function toDetails(...[progress, options]: Parameters<typeof toText>): string {
  const text = toText(progress, options)
  expect(new TextEncoder().encode(text).length).toBeLessThan(MAX_BYTES)
  expect(text.endsWith('\n\n\u00A0')).toBe(true)
  return text.slice(0, -3)
}

describe('current details of a build', () => {
  test('tell how far it is, what failed and why, what to do, what runs, and what the rest waits for', () => {
    const details = toDetails({
      ...progress(),
      counts: { ...emptyCounts(), success: 2, warn: 1, unchanged: 2, error: 1, skipped: 4, pending: 5 },
      stepsDone: 3,
      stepsTotal: 12,
      running: [
        { name: 'core.orders', startedAt: '2024-01-02T03:04:05.678Z' },
        { name: 'core.items', startedAt: '2024-01-02T03:04:06.000Z' },
      ],
      problems: [failed('core.customers', 'Binder Error: no column "x" (models/customers.sql:4)\nCandidates: "y"')],
    })
    expect(details.split('\n')).toEqual([
      '**Building**: 3 of 12 steps done (25 %)',
      '',
      'Models: 3 succeeded (1 with warnings), 2 unchanged, 1 failed, 4 skipped',
      '',
      '**Failed**: `core.customers`: `Binder Error: no column "x" (models/customers.sql:4)`',
      '',
      '**What to do**: once its data are repaired, the update `retryModel` with `"core.customers"` builds it again; an edited model counts from the next build',
      '',
      '**Running (2), 3 to come**',
      '',
      '- `core.orders` since 03:04:05 UTC (bottleneck)',
      '- `core.items` since 03:04:06 UTC',
    ])
  })

  test('say when all places are taken, and how to have more of them', () => {
    const running = ['a', 'b'].map((name) => ({ name, startedAt: '2024-01-02T03:04:05.678Z' }))
    const details = toDetails({ ...progress(), running, window: 2, counts: { ...emptyCounts(), pending: 9 } })
    expect(details).toContain('**Running (2), 7 to come; all 2 places are taken (update `setParallel`)**')
    const narrow = { ...progress(), running, window: 3, counts: { ...emptyCounts(), pending: 9 } }
    expect(toDetails(narrow)).toContain('**Running (2), 7 to come**')
  })

  test('of a paused build say how it goes on, and blame nobody', () => {
    const running = [{ name: 'a', startedAt: '2024-01-02T03:04:05.678Z' }]
    const details = toDetails({ ...progress(), paused: true, running, counts: { ...emptyCounts(), pending: 9 } })
    expect(details).toMatch(/^\*\*Paused\*\*: 0 of 1 steps done/)
    expect(details).toContain(
      '**What to do**: nothing more is started until somebody sends the update `resume`\n\n**Running**: `a`',
    )
    expect(details).not.toContain('bottleneck')
  })

  test('of a build that waits for another one link to that one', () => {
    const waitingFor = { workflowId: 'millrace/a (b)/prod', runId: 'r-1' }
    const details = toDetails({ ...progress(), stepsTotal: 0, window: 0, waitingFor })
    expect(details.split('\n')).toEqual([
      '**Waiting for another build**',
      '',
      '**What to do**: nothing; it goes on when [millrace/a (b)/prod](/namespaces/{namespace}/workflows/millrace%2Fa%20%28b%29%2Fprod/r-1) has ended',
    ])
  })

  test('of a build with nothing to do say just that', () => {
    const counts = { ...emptyCounts(), unchanged: 6 }
    const details = toDetails({ ...progress(), status: 'succeeded', stepsTotal: 0, durationMs: 1_700, counts })
    expect(details).toBe('**Nothing was due**\n\nModels: 6 unchanged')
  })

  test('begin with planning, and need no plan', () => {
    expect(toDetails({ ...progress(), stepsTotal: 0, window: 0 })).toBe('**Planning**')
  })

  test('of a build that ended say what took longest, and which command goes on', () => {
    const slowest = [
      { name: 'a', durationMs: 3_725_000 },
      { name: 'b', durationMs: 61_000 },
      { name: 'c', durationMs: 1_234 },
    ]
    const ended = { ...progress(), status: 'failed' as const, durationMs: 59_900, slowest }
    const details = toDetails({ ...ended, problems: [failed('x', 'no')], counts: { ...emptyCounts(), error: 1 } })
    expect(details).toMatch(/^\*\*Failed, nothing promoted\*\*: 0 of 1 steps done \(0 %\) in 1 min 0 s\n/)
    expect(details).toContain(
      '**What to do**: repair, then `client.ts retry w`: what was built is kept, the rest is built',
    )
    expect(details).toContain('**Slowest**: `a` 1 h 2 min, `b` 1 min 1 s, `c` 1.2 s')
  })

  test('link to the schedule, to the other runs, and to the project’s builds where the server can list them', () => {
    const linked = { ...progress(), schedule: 'nightly (p)', runs: 3 }
    expect(toDetails(linked, { searchable: true }).split('\n').at(-1)).toBe(
      [
        '[builds of p](/namespaces/{namespace}/workflows?query=MillraceProject%3D%22p%22)',
        '[schedule nightly (p)](/namespaces/{namespace}/schedules/nightly%20%28p%29)',
        '[run 3 of this build](/namespaces/{namespace}/workflows?query=WorkflowId%3D%22w%22)',
      ].join(' · '),
    )
    expect(toDetails(linked)).not.toContain('MillraceProject')
  })

  test('leave a database’s words alone, whatever they mean in Markdown', () => {
    const details = toDetails({
      ...progress(),
      problems: [failed('a', 'cannot cast *x* <b> | `y`'), failed('b', 'count(*) of |x|')],
    })
    expect(details).toContain('- `a`: `` cannot cast *x* <b> | `y` ``')
    expect(details).toContain('- `b`: `count(*) of |x|`')
  })

  test('stay below 4 KB in whole lines, without tables, whatever runs and fails', () => {
    const running = Array.from({ length: 500 }, (_, index) => ({
      name: `schema.модель_${index}`,
      startedAt: '2024-01-02T03:04:05.678Z',
    }))
    const problems = Array.from({ length: 100 }, (_, index) => failed(`schema.модель_${index}`, 'ошибка '.repeat(100)))
    const counts = { ...emptyCounts(), error: 100, pending: 500 }
    const details = toDetails({ ...progress(), running, problems, counts, schedule: 's' }, { searchable: true })
    expect(details).toContain('- and 490 more')
    // What to do and where to go is there, however much failed.
    expect(details).toContain('**What to do**')
    expect(details).toContain('[schedule s]')
    expect(details.split('\n').every((line) => line.split('`').length % 2 === 1)).toBe(true)
    expect(details).not.toMatch(/^\s*\|/m)
    expect(details).not.toMatch(/^[\s|:-]*---/m)
  })

  test.each([
    ['succeeded', true, '**Built and promoted**'],
    ['succeeded', false, '**Built**'],
    ['failed', false, '**Failed, nothing promoted**'],
    ['canceled', false, '**Cancelled**'],
  ] as const)('begin with the end of a build that %s (promoted: %s)', (status, promoted, headline) => {
    const details = toDetails({
      ...progress(),
      status,
      promoted,
      running: [{ name: 'a', startedAt: '2024-01-01T00:00:00.000Z' }],
    })
    expect(details.startsWith(headline)).toBe(true)
    expect(details).not.toContain('Running')
  })
})

function failed(name: string, message: string): ModelProblem {
  return { name, status: 'error', reason: null, error: { code: 'SQL', message } }
}

function progress(): BuildProgress {
  return {
    project: 'p',
    environment: 'prod',
    workflowId: 'w',
    runId: 'r',
    status: 'running',
    promoted: false,
    startedAt: '2024-01-01T00:00:00.000Z',
    endedAt: null,
    durationMs: null,
    counts: emptyCounts(),
    problems: [],
    stepsDone: 0,
    stepsTotal: 1,
    running: [],
    revision: 1,
    paused: false,
    window: 8,
    waitingFor: null,
    slowest: [],
    schedule: null,
    runs: 1,
    notices: [],
  }
}
