import { describe, expect, test } from 'vitest'
import { createModelGraph } from '../../src/graph/model-graph.ts'
import { planSteps } from '../../src/graph/steps.ts'
import type { BuildStep } from '../../src/payloads.ts'
import { day, TestState, type TestModel } from './plan-harness.ts'

interface StepRequest {
  now?: string
  select?: string[]
  state?: TestState
  durations?: Record<string, number>
}

function stepsOf(models: Record<string, TestModel>, request: StepRequest = {}): BuildStep[] {
  const { state = new TestState(), durations = {}, now, select } = request
  const asked = { ...(now === undefined ? {} : { now }), ...(select === undefined ? {} : { select }) }
  const { models: planned } = state.plan(models, asked)
  const { graph, coverage } = state.context(models, asked)
  expect(graph.names).toEqual(createModelGraph(Object.keys(models).map((name) => graph.get(name))).names)
  return planSteps(planned, {
    graph,
    definitions: new Map(planned.map(({ name }) => [name, `definition of ${name}`])),
    durations: new Map(Object.entries(durations)),
    coverage,
    settings: (name) => (name === 'm' ? { attempts: 2, timeoutMs: 60_000 } : {}),
  })
}

/** `model[@day] < what it waits for`. */
function drawn(steps: readonly BuildStep[]): string[] {
  const label = (index: number): string => {
    const step = steps[index]
    if (step === undefined) throw new Error(`no step ${index}`)
    const batches = steps.filter(({ model }) => model === step.model).length
    return batches === 1 || step.interval === null
      ? step.model
      : `${step.model}@${new Date(step.interval[0]).getUTCDate()}`
  }
  return steps.map(({ parents }, index) => [label(index), ...parents.map(label)].join(' < '))
}

describe('steps', () => {
  test('come parents first, and each waits for its parents', () => {
    //  a ──► b ──► d
    //  └───► c ────┘
    const steps = stepsOf({ a: {}, b: { reads: ['a'] }, c: { reads: ['a'] }, d: { reads: ['b', 'c'] } })
    expect(drawn(steps)).toEqual(['a', 'b < a', 'c < a', 'd < b < c'])
  })

  test('are one per batch; who reads them waits for all, batches do not wait for each other', () => {
    const steps = stepsOf({ f: { kind: 'INCREMENTAL_BY_TIME_RANGE', batchSize: 1 }, g: { reads: ['f'] } })
    expect(drawn(steps)).toEqual(['f@1', 'f@2', 'f@3', 'g < f@1 < f@2 < f@3'])
    expect(steps.map(({ interval }) => interval)).toEqual([
      [day('2024-01-01'), day('2024-01-02')],
      [day('2024-01-02'), day('2024-01-03')],
      [day('2024-01-03'), day('2024-01-04')],
      [day('2024-01-01'), day('2024-01-04')],
    ])
  })

  test('run so many at once as batch_concurrency says: each waits for the one so many places before it', () => {
    const f: TestModel = { kind: 'INCREMENTAL_BY_TIME_RANGE', batchSize: 1, options: { batch_concurrency: 2 } }
    const request = { now: '2024-01-06' }
    expect(drawn(stepsOf({ f }, request))).toEqual(['f@1', 'f@2', 'f@3 < f@1', 'f@4 < f@2', 'f@5 < f@3'])
    // One that reads itself has no choice.
    expect(drawn(stepsOf({ f: { ...f, readsItself: true } }, { now: '2024-01-04' }))).toEqual([
      'f@1',
      'f@2 < f@1',
      'f@3 < f@2',
    ])
  })

  test.each([
    'INCREMENTAL_BY_UNIQUE_KEY',
    'INCREMENTAL_BY_PARTITION',
    'INCREMENTAL_UNMANAGED',
    'SCD_TYPE_2_BY_TIME',
    'SCD_TYPE_2_BY_COLUMN',
  ] as const)('of kind %s follow each other, one per batch, a new one behind each gap', (kind) => {
    const state = new TestState()
    const m: TestModel = { kind, batchSize: 2 }
    state.build({ m }, { now: '2024-01-04', start: '2024-01-03' })
    expect(drawn(stepsOf({ m }, { now: '2024-01-06', state }))).toEqual(['m@1', 'm@4 < m@1'])
  })

  test('of a model that keeps its table whatever changes wait for the first, which may alter it', () => {
    const f: TestModel = { kind: 'INCREMENTAL_BY_TIME_RANGE', batchSize: 1, options: { forward_only: true } }
    expect(drawn(stepsOf({ f }))).toEqual(['f@1', 'f@2 < f@1', 'f@3 < f@1'])
  })

  test('of a model that reads itself follow each other', () => {
    const steps = stepsOf({
      a: {},
      f: { kind: 'INCREMENTAL_BY_TIME_RANGE', batchSize: 1, reads: ['a'], readsItself: true },
      g: { reads: ['f'] },
    })
    expect(drawn(steps)).toEqual(['a', 'f@1 < a', 'f@2 < a < f@1', 'f@3 < a < f@2', 'g < f@1 < f@2 < f@3'])
  })

  test('wait for those behind a model without a step of its own', () => {
    //  a ──► e (EMBEDDED) ──► e2 (EMBEDDED) ──► b
    const steps = stepsOf({
      a: {},
      e: { kind: 'EMBEDDED', reads: ['a'] },
      e2: { kind: 'EMBEDDED', reads: ['e'] },
      b: { reads: ['e2'] },
    })
    expect(drawn(steps)).toEqual(['a', 'b < a'])
  })

  test('wait behind a model that has nothing to do for the one above it that has', () => {
    //  s (SEED, new rows) ──► i (time range, nothing due) ──► v (VIEW, new)
    const before: Record<string, TestModel> = {
      s: { kind: 'SEED' },
      i: { kind: 'INCREMENTAL_BY_TIME_RANGE', reads: ['s'] },
    }
    const state = new TestState()
    state.build(before)
    const steps = stepsOf(
      { ...before, s: { kind: 'SEED', content: 'other rows' }, v: { kind: 'VIEW', reads: ['i'] } },
      { state },
    )
    expect(drawn(steps)).toEqual(['s', 'v < s'])
  })

  test('are none of a model that is not selected or has nothing to do', () => {
    const models: Record<string, TestModel> = { a: {}, b: { reads: ['a'] }, c: {} }
    expect(drawn(stepsOf(models, { select: ['a', 'b'] }))).toEqual(['a', 'b < a'])
    const state = new TestState()
    state.build(models)
    expect(stepsOf(models, { state })).toEqual([])
  })

  test('carry what the worker needs: version, definition, seeds’ content, a weight from earlier builds, the project’s limits', () => {
    const models: Record<string, TestModel> = { s: { kind: 'SEED', content: 'rows' }, m: { reads: ['s'] } }
    const [seed, model] = stepsOf(models, { durations: { m: 7_000 } })
    expect(seed).toMatchObject({ model: 's', kind: 'SEED', interval: null, inputs: 'rows', weight: 100 })
    expect(seed?.definition).toBe('definition of s')
    expect(seed).not.toHaveProperty('attempts')
    expect(model).toMatchObject({ model: 'm', kind: 'FULL', weight: 7_000, attempts: 2, timeoutMs: 60_000 })
    expect(model?.inputs).not.toBe('')
    expect(model?.version).toMatch(/^[0-9a-f]{12}$/)
  })
})
