import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../src/errors.ts'
import { createModelGraph } from '../../src/graph/model-graph.ts'
import { cutAtBatches } from '../../src/graph/restate.ts'
import { modelsToRestate } from '../../src/graph/restate-selection.ts'
import { changes, day, due, find, ranges, TestState, type TestModel } from './plan-harness.ts'

//  raw ──► fact ──► mart ──► board        keyed ──► late
//  SEED    RANGE    FULL     VIEW         UNIQUE    RANGE
const models: Record<string, TestModel> = {
  raw: { kind: 'SEED' },
  fact: { kind: 'INCREMENTAL_BY_TIME_RANGE', reads: ['raw'], batchSize: 2 },
  mart: { reads: ['fact'] },
  board: { kind: 'VIEW', reads: ['mart'] },
  keyed: { kind: 'INCREMENTAL_BY_UNIQUE_KEY' },
  late: { kind: 'INCREMENTAL_BY_TIME_RANGE', reads: ['keyed'] },
}
const NOW = '2024-01-08'

function built(edits: Record<string, Partial<TestModel>> = {}): TestState {
  const state = new TestState()
  state.build(edited(edits), { now: NOW })
  return state
}

function edited(edits: Record<string, Partial<TestModel>>): Record<string, TestModel> {
  return Object.fromEntries(Object.entries(models).map(([name, model]) => [name, { ...model, ...edits[name] }]))
}

const FACT = ['fact', 'mart', 'board']
const DAYS = { now: NOW, start: '2024-01-02', end: '2024-01-05' }

describe('a restatement', () => {
  test('of a time range builds its range again in place, and whatever reads it', () => {
    const plan = built().plan(models, { ...DAYS, select: FACT, restate: ['fact'] })
    expect(changes(plan)).toEqual({ fact: 'none: restated', mart: 'none: fact restated', board: 'none: mart restated' })
    expect(ranges(plan, 'fact')).toEqual(['2024-01-02 2024-01-04', '2024-01-04 2024-01-05'])
    expect(ranges(plan, 'mart')).toEqual(['2024-01-01 2024-01-08'])
    expect(plan.promotes).toBe(false)
  })

  test('that did not succeed is planned again by the next build, no more and no less', () => {
    const state = built()
    state.build(models, { ...DAYS, select: FACT, restate: ['fact'], only: [] })
    expect(due(state.plan(models, { now: NOW }))).toEqual(FACT)
    expect(find(state.plan(models, { now: NOW }), 'fact').reason).toBe(
      'it was to be restated, which has not succeeded yet',
    )
    expect(ranges(state.plan(models, { now: NOW }), 'fact')).toEqual(['2024-01-02 2024-01-04', '2024-01-04 2024-01-05'])
    // Only as far as the build is asked for.
    const some = state.plan(models, { now: NOW, start: '2024-01-04', end: '2024-01-06' })
    expect(ranges(some, 'fact')).toEqual(['2024-01-04 2024-01-05'])
    state.build(models, { now: NOW, only: ['fact'] })
    expect(due(state.plan(models, { now: NOW }))).toEqual(['mart', 'board'])
    state.build(models, { now: NOW })
    expect(due(state.plan(models, { now: NOW }))).toEqual([])
  })

  test('is remembered for what reads it and was left out', () => {
    const state = built()
    state.build(models, { ...DAYS, select: ['fact', 'mart'], restate: ['fact'] })
    expect(changes(state.plan(models, { now: NOW }))).toEqual({
      board: 'none: it was to be restated, which has not succeeded yet',
    })
  })

  test('reaches back as far as anything is recorded, also where the model starts later by now', () => {
    const later = edited({ fact: { start: '2024-01-06' } })
    const plan = built().plan(later, { now: NOW, select: FACT, restate: ['fact'] })
    expect(ranges(plan, 'fact')).toEqual([
      '2024-01-01 2024-01-03',
      '2024-01-03 2024-01-05',
      '2024-01-05 2024-01-07',
      '2024-01-07 2024-01-08',
    ])
  })

  test('of a model that has changed builds all of its new version, not only the range', () => {
    const plan = built().plan(edited({ fact: { data: '2' } }), { ...DAYS, select: FACT, restate: ['fact'] })
    expect(find(plan, 'fact')).toMatchObject({
      category: 'breaking',
      intervals: [{ start: day('2024-01-01'), end: day(NOW) }],
    })
  })

  test('of a model that reads itself goes on up to now', () => {
    const itself = edited({ fact: { readsItself: true } })
    const state = new TestState()
    state.build(itself, { now: NOW })
    const plan = state.plan(itself, { ...DAYS, select: FACT, restate: ['fact'] })
    expect(find(plan, 'fact').intervals).toEqual([{ start: day('2024-01-02'), end: day(NOW) }])
    expect(find(plan, 'fact').concurrency).toBe(1)
  })

  test('stops at what must not be restated, and says so', () => {
    const shut = edited({ mart: { kind: 'INCREMENTAL_BY_TIME_RANGE', options: { disable_restatement: true } } })
    const state = new TestState()
    state.build(shut, { now: NOW })
    const plan = state.plan(shut, { ...DAYS, select: FACT, restate: ['fact'] })
    expect(due(plan)).toEqual(['fact'])
    expect(changes(plan)).toMatchObject({ mart: 'none: not restated: it has disable_restatement' })
  })
})

describe('a history that can only be made anew as a whole', () => {
  const KEYED = ['keyed', 'late']

  test('is built beside the old one from its first day on, and promoted with what reads it', () => {
    const state = built()
    const before = find(state.plan(models, { now: NOW }), 'keyed').version
    const plan = state.plan(models, { ...DAYS, select: KEYED, restate: ['keyed'], run: 'r1' })
    expect(find(plan, 'keyed')).toMatchObject({ isNew: true, category: 'indirect_breaking', reason: 'restated' })
    expect(find(plan, 'keyed').version).not.toBe(before)
    expect(find(plan, 'keyed').intervals).toEqual([{ start: day('2024-01-01'), end: day(NOW) }])
    expect(ranges(plan, 'late')).toEqual(['2024-01-01 2024-01-08'])
    expect(plan.promotes).toBe(true)
  })

  test('that failed goes on in the version that was begun, until that is promoted', () => {
    const state = built()
    const first = state.build(models, { ...DAYS, select: KEYED, restate: ['keyed'], run: 'r1', only: ['keyed'] })
    const next = state.build(models, { now: NOW, run: 'r2' })
    expect(find(next, 'keyed')).toMatchObject({ version: find(first, 'keyed').version, batches: [] })
    expect(due(next)).toEqual(['late'])
    const after = state.plan(models, { now: NOW, run: 'r3' })
    expect(due(after)).toEqual([])
    expect(after.promotes).toBe(false)
    const again = state.plan(models, { now: NOW, run: 'r4', select: KEYED, restate: ['keyed'] })
    expect(find(again, 'keyed').isNew).toBe(true)
  })

  test('leaves the tables of those that read it and must keep theirs', () => {
    const kept = edited({ late: { options: { disable_restatement: true } } })
    const state = new TestState()
    const before = find(state.build(kept, { now: NOW }), 'late').version
    const plan = state.build(kept, { now: NOW, select: KEYED, restate: ['keyed'], run: 'r1' })
    expect(find(plan, 'late')).toMatchObject({ version: before, adopts: true, batches: [], category: null })
    expect(due(state.plan(kept, { now: NOW }))).toEqual([])
  })
})

describe('an automatic restatement', () => {
  const auto = (options: TestModel['options'] = {}): Record<string, TestModel> =>
    edited({ fact: { options: { auto_restatement_cron: '@weekly', ...options } } })

  test('takes the last intervals when its cron has ticked, once, with what reads it', () => {
    const weekly = auto({ auto_restatement_intervals: 3 })
    const state = new TestState()
    // A Friday; the cron ticks on Sundays.
    state.build(weekly, { now: '2024-01-05' })
    state.build(weekly, { now: '2024-01-06' })
    const plan = state.build(weekly, { now: '2024-01-08', only: [] })
    expect(find(plan, 'fact')).toMatchObject({
      reason: 'restated by its auto_restatement_cron',
      intervals: [{ start: day('2024-01-05'), end: day('2024-01-08') }],
    })
    expect(due(plan)).toEqual(expect.arrayContaining(FACT))
    // It failed: the days that it was to take are still to be taken, no others.
    const next = state.build(weekly, { now: '2024-01-09' })
    expect(find(next, 'fact').intervals).toEqual([{ start: day('2024-01-05'), end: day('2024-01-09') }])
    expect(due(state.plan(weekly, { now: '2024-01-09' }))).toEqual([])
    expect(find(state.plan(weekly, { now: '2024-01-10' }), 'fact').intervals).toEqual([
      { start: day('2024-01-09'), end: day('2024-01-10') },
    ])
  })

  test('takes everything where no number of intervals is given, and nothing where it is disabled', () => {
    const state = new TestState()
    state.build(auto(), { now: '2024-01-05' })
    expect(find(state.plan(auto(), { now: '2024-01-08' }), 'fact').intervals).toEqual([
      { start: day('2024-01-01'), end: day('2024-01-08') },
    ])
    const off = auto({ disable_restatement: true })
    expect(find(state.plan(off, { now: '2024-01-08' }), 'fact').intervals).toEqual([
      { start: day('2024-01-05'), end: day('2024-01-08') },
    ])
  })
})

describe('a history that is built as a new version', () => {
  const moved = (edits: Partial<TestModel> = {}): Record<string, TestModel> =>
    edited({ fact: { start: '2024-01-06', ...edits }, keyed: { start: '2024-01-06', ...edits } })
  const first = (name: string, models: Record<string, TestModel>, request: object): string => {
    const [interval] = find(built().plan(models, { now: NOW, ...request }), name).intervals
    return new Date(interval?.start ?? 0).toISOString().slice(0, 10)
  }

  test('begins where the model says; where it says nothing, as far back as anything was recorded', () => {
    for (const [name, request] of [
      ['fact', { refresh: 'r' }],
      ['keyed', { refresh: 'r' }],
      ['keyed', { select: ['keyed', 'late'], restate: ['keyed'] }],
    ] as const) {
      expect(first(name, moved(), request)).toBe('2024-01-06')
      expect(first(name, moved({ startIsInferred: true }), request)).toBe('2024-01-01')
    }
    expect(first('fact', moved({ startIsInferred: true }), { refresh: 'r', start: '2024-01-07' })).toBe('2024-01-07')
  })
})

describe('a model that is forward_only', () => {
  const forward = (edits: Partial<TestModel> = {}): Record<string, TestModel> =>
    edited({ fact: { options: { forward_only: true }, ...edits } })

  const acyclic = (edits: Partial<TestModel>): Record<string, TestModel> => ({ ...forward(edits), mart: {} })

  test('keeps its version when it changes: new intervals only, its readers are left alone', () => {
    const state = new TestState()
    const before = find(state.build(forward(), { now: NOW }), 'fact').version
    const other = forward({ data: '2' })
    const plan = state.plan(other, { now: NOW })
    expect(find(plan, 'fact')).toMatchObject({ version: before, category: 'forward_only', adopts: true, batches: [] })
    expect(due(plan)).toEqual([])
    expect(plan.promotes).toBe(false)
    state.build(other, { now: '2024-01-09' })
    expect(find(state.plan(other, { now: '2024-01-09' }), 'fact')).toMatchObject({ category: null, adopts: false })
    expect(ranges(state.plan(forward(), { now: '2024-01-10' }), 'fact')).toEqual(['2024-01-09 2024-01-10'])
  })

  test('keeps it when what it reads changes, and begins anew with another kind, or with a full refresh', () => {
    const state = new TestState()
    const before = find(state.build(acyclic({ reads: ['mart'] }), { now: NOW }), 'fact').version
    const parent = { ...acyclic({ reads: ['mart'] }), mart: { data: '2' } }
    expect(find(state.plan(parent, { now: NOW }), 'fact')).toMatchObject({ version: before, category: 'forward_only' })
    const kind = acyclic({ reads: ['mart'], kind: 'INCREMENTAL_UNMANAGED' })
    expect(find(state.plan(kind, { now: NOW }), 'fact')).toMatchObject({ isNew: true, category: 'breaking' })
    const refreshed = state.plan(acyclic({ reads: ['mart'] }), { now: NOW, refresh: 'r' })
    expect(find(refreshed, 'fact')).toMatchObject({ isNew: true, category: 'breaking', reason: 'full refresh' })
  })
})

describe('what is named', () => {
  const graph = createModelGraph(
    [
      { name: 'raw', kind: { name: 'SEED' as const } },
      { name: 'shut', kind: { name: 'FULL' as const, disable_restatement: true } },
      { name: 'open', kind: { name: 'FULL' as const } },
    ].map((node) => ({ ...node, tags: ['all'], file: `models/${node.name}.sql`, depends_on: [] })),
  )

  test('is refused when none of it can be restated; among others it is left out', () => {
    for (const name of ['raw', 'shut']) {
      expect(() => modelsToRestate(graph, ['open', name], null)).toThrow(MillraceError)
      expect(() => modelsToRestate(graph, [name], null)).toThrow(`'${name}' is none`)
    }
    expect([...modelsToRestate(graph, ['tag:all'], null)].sort()).toEqual(['open', 'raw', 'shut'])
  })
})

test('ranges are cut at the batches that build them; what none builds stays as it is', () => {
  const range = (start: number, end: number) => ({ start, end })
  const cut = cutAtBatches([range(0, 10), range(20, 30)], [range(2, 4), range(4, 8), range(18, 22), null])
  expect(cut).toEqual([range(0, 2), range(2, 4), range(4, 8), range(8, 10), range(20, 22), range(22, 30)])
  expect(cutAtBatches([range(0, 0)], [range(0, 5)])).toEqual([range(0, 0)])
})
