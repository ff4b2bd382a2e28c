import { describe, expect, test } from 'vitest'
import { emptyCounts, type BuildProgress, type ModelProblem } from '../../src/payloads.ts'
import { toDetails } from '../../src/workflows/progress.ts'

const MAX_BYTES = 4096

describe('current details of a build', () => {
  test('tell what is done, what runs since when, and what failed and why', () => {
    const details = toDetails({
      ...progress(),
      counts: { ...emptyCounts(), success: 3, unchanged: 2, error: 1, skipped: 4 },
      stepsDone: 3,
      stepsTotal: 12,
      running: [{ name: 'core.orders', startedAt: '2024-01-02T03:04:05.678Z' }],
      problems: [failed('core.customers', 'Binder Error: no column "x" (models/customers.sql:4)\nCandidates: "y"')],
    })
    expect(details.split('\n')).toEqual([
      '**Building**: 3 of 12 steps done (25 %)',
      '',
      '- succeeded 3, unchanged 2, failed 1, skipped 4',
      '',
      '**Running now** (1)',
      '',
      '- `core.orders` since 03:04:05 UTC',
      '',
      '**Failed** (1)',
      '',
      '- `core.customers`: `Binder Error: no column "x" (models/customers.sql:4)`',
    ])
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
    const details = toDetails({ ...progress(), running, problems })
    expect(new TextEncoder().encode(details).length).toBeLessThan(MAX_BYTES)
    expect(details).toContain('- and 490 more')
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
    expect(details).not.toContain('Running now')
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
    notices: [],
  }
}
