import { describe, expect, test } from 'vitest'
import { emptyCounts, MAX_PROBLEMS, type ModelProblem } from '../../src/payloads.ts'
import { packBuild, unpackBuild, type Carried } from '../../src/workflows/carried-build.ts'
import { handOver } from '../../src/workflows/history-budget.ts'
import { MAX_PARALLEL } from '../../src/workflows/steering.ts'

const NOTHING = { events: 0, bytes: 0, planBytes: 0, suggested: false }

describe('a run of a build', () => {
  test('goes on while its history is small', () => {
    expect(handOver({ ...NOTHING, events: 5_000, bytes: 4_000_000, planBytes: 2_400_000 }, 16)).toBe('later')
  })

  test('hands over when little is lost by it, and at last in any case', () => {
    expect(handOver({ ...NOTHING, suggested: true }, 16)).toBe('soon')
    expect(handOver({ ...NOTHING, events: 6_001 }, 16)).toBe('soon')
    expect(handOver({ ...NOTHING, events: 9_450 }, 16)).toBe('now')
    expect(handOver({ ...NOTHING, bytes: 3_100_000 }, 16)).toBe('soon')
    expect(handOver({ ...NOTHING, bytes: 5_100_000 }, 16)).toBe('now')
  })

  test('ends below 10,000 events with as many steps in flight as there may be, each of which needs tasks of its own', () => {
    let events = 0
    while (handOver({ ...NOTHING, events }, MAX_PARALLEL) !== 'now') events += 1
    const worst = events + MAX_PARALLEL * 6
    expect(worst).toBeLessThan(10_000)
    expect(events).toBeGreaterThan(6_000)
  })

  test('does not hand over for the size of the plan, which the next one begins with too', () => {
    expect(handOver({ ...NOTHING, events: 100, bytes: 12_000_000, planBytes: 12_000_000 }, 16)).toBe('later')
  })
})

describe('what a run hands to the next', () => {
  const problem = (index: number): ModelProblem => ({
    name: `schema.model_${index}`,
    status: 'error',
    reason: null,
    error: { code: 'SQL', message: 'x'.repeat(501) },
  })
  const steps = Array.from({ length: 50_000 }, (_, index) => index)
  // Every other one failed, in an order without any order.
  const unsuccessful = steps
    .filter((index) => index % 2 === 1)
    .sort((a, b) => ((a * 7919) % 50_021) - ((b * 7919) % 50_021))
  const carried: Carried = {
    head: { build: { workflowId: 'w', runId: 'r' }, startedMs: 1, executionMs: 2, schedule: null, runs: 1 },
    plan: {
      project: 'p',
      environment: 'prod',
      gateway: 'g',
      stepCount: 50_000,
      slices: Array.from({ length: 90 }, () => '0123456789abcdef'),
      steps: [],
      unchanged: 3,
      promotes: true,
      concurrentTasks: 8,
      notices: [],
    },
    ended: { done: steps.filter((index) => index % 2 === 0), unsuccessful, skipped: [1, 3] },
    tracked: {
      counts: emptyCounts(),
      stepsDone: 3,
      warned: [0, 2, 4],
      problems: Array.from({ length: MAX_PROBLEMS }, (_, index) => problem(index)),
      slowest: [],
    },
    settings: { paused: true, parallel: 3, failFast: false },
  }

  test('fits into a payload, however the steps of the largest build have ended', () => {
    expect(Buffer.byteLength(JSON.stringify(packBuild(carried)))).toBeLessThan(256 * 1024)
  })

  test('is what it was, one run later', () => {
    const unpacked = unpackBuild(JSON.parse(JSON.stringify(packBuild(carried))) as ReturnType<typeof packBuild>)
    expect(unpacked).toEqual({ ...carried, head: { ...carried.head, runs: 2 } })
  })
})
