import { describe, expect, test } from 'vitest'
import { ProjectError } from '../../src/errors.ts'
import { planBuild } from '../../src/graph/plan.ts'
import { changes, due, find, ranges, TestState, type TestModel } from './plan-harness.ts'

//  seed ──► stage ──► fact ──► mart ──► board        lone
//  SEED     VIEW      INCR.    FULL     VIEW          FULL
const models: Record<string, TestModel> = {
  seed: { kind: 'SEED' },
  stage: { kind: 'VIEW', reads: ['seed'] },
  fact: { kind: 'INCREMENTAL_BY_TIME_RANGE', reads: ['stage'] },
  mart: { reads: ['fact'] },
  board: { kind: 'VIEW', reads: ['mart'] },
  lone: {},
}
const all = ['lone', 'seed', 'stage', 'fact', 'mart', 'board']

function built(): TestState {
  const state = new TestState()
  state.build(models)
  return state
}

function edited(edits: Record<string, Partial<TestModel>>): Record<string, TestModel> {
  return Object.fromEntries(Object.entries(models).map(([name, model]) => [name, { ...model, ...edits[name] }]))
}

describe('a plan', () => {
  test('of a project that was never built adds and builds every model', () => {
    const plan = new TestState().plan(models)
    expect(changes(plan)).toEqual(Object.fromEntries(all.map((name) => [name, 'added: new model'])))
    expect(due(plan)).toEqual(all)
    expect(ranges(plan, 'seed')).toEqual(['whole'])
    expect(ranges(plan, 'fact')).toEqual(['2024-01-01 2024-01-04'])
    expect(plan.models.every(({ isNew, hasTable }) => isNew && hasTable)).toBe(true)
    expect(plan.promotes).toBe(true)
    expect(plan.target.map(({ model }) => model)).toEqual(all)
    expect(new Set(plan.target.map(({ version }) => version)).size).toBe(all.length)
  })

  test('of a project that is built has nothing to do', () => {
    const plan = built().plan(models)
    expect(changes(plan)).toEqual({})
    expect(due(plan)).toEqual([])
    expect(plan).toMatchObject({ promotes: false, removed: [], stale: [] })
  })

  test('names versions by the project too: two projects with one model do not share it', () => {
    const context = new TestState().context(models)
    const versions = ['here', 'there'].map((project) => find(planBuild({ ...context, project }), 'lone').version)
    expect(new Set(versions).size).toBe(2)
  })
})

describe('an edit', () => {
  test('of what a model holds is breaking, for its descendants indirectly, each by the parent that changed', () => {
    const plan = built().plan(edited({ fact: { data: '2' } }))
    expect(changes(plan)).toEqual({
      fact: 'breaking: its definition changed',
      mart: 'indirect_breaking: fact changed',
      board: 'indirect_breaking: mart changed',
    })
    expect(due(plan)).toEqual(['fact', 'mart', 'board'])
    expect(find(plan, 'fact').isNew).toBe(true)
    expect(ranges(plan, 'fact')).toEqual(['2024-01-01 2024-01-04'])
    expect(plan.promotes).toBe(true)
  })

  test('of a parent and a child is breaking for both', () => {
    const plan = built().plan(edited({ mart: { data: '2' }, board: { data: '2' } }))
    expect(changes(plan)).toEqual({
      mart: 'breaking: its definition changed',
      board: 'breaking: its definition changed',
    })
  })

  test('of metadata builds nothing and is promoted', () => {
    const plan = built().plan(edited({ mart: { metadata: 'owner sam' } }))
    expect(changes(plan)).toEqual({ mart: 'metadata: its metadata changed' })
    expect(due(plan)).toEqual([])
    expect(plan.promotes).toBe(true)
  })

  test('of metadata of a parent leaves its children as they are', () => {
    const state = built()
    state.build(edited({ fact: { metadata: 'owner sam' } }))
    expect(state.plan(edited({ fact: { metadata: 'owner sam' } })).promotes).toBe(false)
  })

  test('that is taken back finds the version there was, and what it covers', () => {
    const state = built()
    const before = find(state.plan(models), 'fact').version
    state.build(edited({ fact: { data: '2' } }), { now: '2024-01-05' })
    const plan = state.plan(models, { now: '2024-01-05' })
    expect(find(plan, 'fact')).toMatchObject({ version: before, isNew: false, category: 'breaking' })
    // Only the day that passed meanwhile is missing.
    expect(ranges(plan, 'fact')).toEqual(['2024-01-04 2024-01-05'])
    expect(plan.promotes).toBe(true)
  })

  test('of an embedded model reaches those who read it; itself it has nothing to build', () => {
    const embedded = { ...models, stage: { kind: 'EMBEDDED', reads: ['seed'] } satisfies TestModel }
    const state = new TestState()
    const first = state.build(embedded)
    expect(find(first, 'stage')).toMatchObject({ hasTable: false, batches: [], category: 'added' })
    const plan = state.plan({ ...embedded, stage: { ...embedded.stage, data: '2' } })
    expect(due(plan)).toEqual(['fact', 'mart', 'board'])
    expect(find(plan, 'fact').reason).toBe('stage changed')
  })
})

describe('a build that failed', () => {
  test('leaves what it built to the next one, which makes the rest', () => {
    const state = new TestState()
    state.build(models, { only: ['seed', 'stage', 'lone'] })
    const plan = state.plan(models)
    expect(due(plan)).toEqual(['fact', 'mart', 'board'])
    expect(plan.models.every(({ isNew }) => !isNew)).toBe(true)
    expect(plan.promotes).toBe(true)
  })

  test('of a changed model leaves the environment where it was', () => {
    const state = built()
    state.build(edited({ fact: { data: '2' } }), { only: ['fact'] })
    const plan = state.plan(edited({ fact: { data: '2' } }))
    expect(due(plan)).toEqual(['mart', 'board'])
    expect(changes(plan)).toMatchObject({ fact: 'breaking: its definition changed' })
    expect(plan.promotes).toBe(true)
    expect(state.plan(models).promotes).toBe(false)
  })
})

describe('new data', () => {
  test('is due when a day has passed: in place, a time range by what is missing, the other kinds as a whole', () => {
    const state = built()
    const plan = state.plan(models, { now: '2024-01-06' })
    expect(due(plan)).toEqual(['lone', 'stage', 'fact', 'mart', 'board'])
    expect(ranges(plan, 'fact')).toEqual(['2024-01-04 2024-01-06'])
    expect(ranges(plan, 'mart')).toEqual(['2024-01-01 2024-01-06'])
    expect(find(plan, 'mart')).toMatchObject({ category: null, reason: 'new data is due', isNew: false })
    expect(plan.promotes).toBe(false)
  })

  test('of a seed reaches the models that are rebuilt as a whole, through views; a time range stops it', () => {
    const files: Record<string, TestModel> = { ...models, copy: { reads: ['stage'] } }
    const state = new TestState()
    state.build(files)
    const next: Record<string, TestModel> = { ...files, seed: { kind: 'SEED', content: 'other rows' } }
    const plan = state.build(next)
    expect(due(plan)).toEqual(['seed', 'stage', 'copy'])
    expect(find(plan, 'seed')).toMatchObject({ category: null, reason: 'its file changed' })
    expect(plan.promotes).toBe(false)
    expect(due(state.plan(next))).toEqual([])
  })

  test('of a seed that is not selected waits for it', () => {
    const state = built()
    const next = edited({ seed: { content: 'other rows' } })
    expect(due(state.plan(next, { select: ['stage', 'mart'] }))).toEqual([])
    expect(due(state.plan(next))).toEqual(['seed', 'stage'])
  })

  test('comes in batches, after the days a lookback repeats', () => {
    const files = edited({ fact: { batchSize: 2, lookback: 1 } })
    const state = new TestState()
    expect(ranges(state.build(files), 'fact')).toEqual(['2024-01-01 2024-01-03', '2024-01-03 2024-01-04'])
    expect(ranges(state.plan(files, { now: '2024-01-06' }), 'fact')).toEqual([
      '2024-01-03 2024-01-05',
      '2024-01-05 2024-01-06',
    ])
  })

  test('is limited by the range that was asked for, and by the end of the model', () => {
    const state = new TestState()
    const asked = { start: '2024-01-02', end: '2024-01-03' }
    expect(ranges(state.build(models, asked), 'fact')).toEqual(['2024-01-02 2024-01-03'])
    expect(ranges(state.plan(models), 'fact')).toEqual(['2024-01-01 2024-01-02', '2024-01-03 2024-01-04'])
    const ended = edited({ fact: { end: '2024-01-02', lookback: 3 } })
    expect(ranges(new TestState().plan(ended), 'fact')).toEqual(['2024-01-01 2024-01-02'])
    const over = new TestState()
    over.build(ended)
    expect(due(over.plan(ended))).toEqual([])
  })

  test('that is not due yet leaves a new model an empty table', () => {
    const state = new TestState()
    const early = edited({ fact: { start: '2030-01-01' } })
    expect(ranges(state.build(early), 'fact')).toEqual(['whole'])
    expect(due(state.plan(early))).toEqual([])
  })
})

describe('a selection', () => {
  test('leaves the others on their versions, and lists those that read a changed parent as stale', () => {
    const plan = built().plan(edited({ fact: { data: '2' } }), { select: ['fact'] })
    expect(due(plan)).toEqual(['fact'])
    expect(plan.stale).toEqual(['mart'])
    expect(find(plan, 'mart')).toMatchObject({ selected: false, category: null, batches: [] })
    expect(plan.promotes).toBe(true)
  })

  test('of a child of a changed parent that is not selected keeps reading the old version', () => {
    const plan = built().plan(edited({ fact: { data: '2' } }), { select: ['mart'] })
    expect(changes(plan)).toEqual({})
    expect(plan).toMatchObject({ promotes: false, stale: [] })
  })

  test('is followed later by the child that stayed behind, which changed by its parent only', () => {
    const state = built()
    const next = edited({ fact: { data: '2' } })
    state.build(next, { select: ['fact'] })
    const plan = state.plan(next)
    expect(changes(plan)).toEqual({
      mart: 'indirect_breaking: a parent changed',
      board: 'indirect_breaking: mart changed',
    })
    expect(due(plan)).toEqual(['mart', 'board'])
  })

  test('without a parent that was never built is an error for each such model, at its file', () => {
    const error = catchError(() => new TestState().plan(models, { select: ['stage', 'mart', 'lone'] }))
    expect(error).toBeInstanceOf(ProjectError)
    expect(error).toMatchObject({
      problems: [
        { code: 'PARENT_NOT_BUILT', file: 'models/stage.sql', hint: expect.stringContaining('"+stage"') },
        { code: 'PARENT_NOT_BUILT', file: 'models/mart.sql', message: expect.stringContaining(`reads 'fact'`) },
      ],
    })
  })

  test('leaves out what is neither selected nor in the environment', () => {
    const plan = new TestState().plan(models, { select: ['lone'] })
    expect(plan.models.map(({ name }) => name)).toEqual(['lone'])
    expect(plan.target.map(({ model }) => model)).toEqual(['lone'])
  })
})

describe('a model that is gone', () => {
  const { board: _, ...without } = models

  test('leaves the environment when all models are built', () => {
    const plan = built().plan(without)
    expect(plan).toMatchObject({ removed: ['board'], promotes: true })
    expect(plan.target.map(({ model }) => model)).not.toContain('board')
    expect(due(plan)).toEqual([])
  })

  test('stays in it when a selection is built', () => {
    const plan = built().plan(without, { select: ['mart'] })
    expect(plan).toMatchObject({ removed: [], promotes: false })
    expect(plan.target.map(({ model }) => model)).toContain('board')
  })
})

describe('a full refresh', () => {
  test('gives every selected model a new version, another one each time', () => {
    const state = built()
    const before = state.plan(models)
    const plan = state.plan(models, { refresh: 'run 1', select: ['fact', 'mart'] })
    expect(changes(plan)).toEqual({ fact: 'breaking: full refresh', mart: 'breaking: full refresh' })
    for (const name of ['fact', 'mart']) {
      expect(find(plan, name)).toMatchObject({ isNew: true })
      const other = find(state.plan(models, { refresh: 'run 2' }), name).version
      expect(new Set([find(before, name).version, find(plan, name).version, other]).size).toBe(3)
    }
    expect(ranges(plan, 'fact')).toEqual(['2024-01-01 2024-01-04'])
    expect(plan.stale).toEqual(['board'])
  })

  test('stays: the next plan keeps its versions though the older ones fit as well', () => {
    const state = built()
    const refreshed = state.build(models, { refresh: 'run 1' })
    const plan = state.plan(models)
    expect(plan.promotes).toBe(false)
    expect(find(plan, 'fact').version).toBe(find(refreshed, 'fact').version)
  })
})

describe('a newer fingerprint format', () => {
  test('rebuilds nothing that was made with an older one', () => {
    const state = built()
    const plan = state.plan(models, { format: 2 })
    expect(changes(plan)).toEqual({})
    expect(due(plan)).toEqual([])
    expect(plan.promotes).toBe(false)
    expect(due(state.plan(models, { format: 2, now: '2024-01-05' }))).not.toContain('seed')
  })

  test('still sees an edit; what is new is kept in the new format, beside the old', () => {
    const state = built()
    const next = edited({ fact: { data: '2' } })
    const plan = state.build(next, { format: 2 })
    expect(changes(plan)).toEqual({
      fact: 'breaking: its definition changed',
      mart: 'indirect_breaking: fact changed',
      board: 'indirect_breaking: mart changed',
    })
    const formats = ['seed', 'stage', 'fact', 'mart'].map((name) => state.versions.get(name)?.[0]?.format)
    expect(formats).toEqual([1, 1, 2, 2])
    expect(state.plan(next, { format: 2 }).promotes).toBe(false)
    // The edit taken back is the old version again, in the old format.
    expect(due(state.plan(models, { format: 2 }))).toEqual([])
  })
})

describe('audits', () => {
  //  lone ◄── audit of mart;  check reads board (a view of mart) and lone
  const audited: Record<string, TestModel> = {
    ...edited({ mart: { audits: ['lone', 'mart'] } }),
    check: { kind: 'AUDIT', reads: ['board', 'lone'] },
  }
  const auditedState = (): TestState => {
    const state = new TestState()
    state.build(audited)
    return state
  }

  test('of a model change neither its version nor what it builds', () => {
    const [plain, with_] = [new TestState().plan(models), new TestState().plan(audited)]
    expect(find(with_, 'mart').version).toBe(find(plain, 'mart').version)
    const plan = auditedState().plan({ ...audited, lone: { data: '2' } })
    expect(due(plan)).toEqual(['lone', 'check'])
    expect(find(plan, 'mart').category).toBeNull()
    expect(auditedState().plan({ ...audited, lone: { data: '2' } }, { select: ['lone'] }).stale).toEqual(['check'])
  })

  test('of a model need what they read to be built', () => {
    const error = catchError(() => new TestState().plan(audited, { select: ['seed', 'stage', 'fact', 'mart'] }))
    expect(error).toMatchObject({ problems: [{ code: 'PARENT_NOT_BUILT' }] })
  })

  test('that have changed run again, on the rows that are there', () => {
    const state = auditedState()
    const plan = state.plan({ ...audited, mart: { ...audited['mart'], metadata: 'other' } })
    expect(changes(plan)).toEqual({ mart: 'metadata: its metadata changed; its audits run again' })
    expect(find(plan, 'mart')).toMatchObject({ auditsOnly: true, batches: [null], intervals: [], isNew: false })
    // Where there is something to build, its audits run anyway; where there are none, nothing does.
    const next = state.plan({ ...audited, mart: { ...audited['mart'], metadata: 'other' } }, { now: '2024-01-05' })
    expect(find(next, 'mart').auditsOnly).toBe(false)
    expect(due(state.plan({ ...audited, fact: { ...audited['fact'], metadata: 'other' } }))).toEqual([])
  })

  test('that are standalone run when they are new, changed, or what they read is written', () => {
    const state = auditedState()
    expect(find(new TestState().plan(audited), 'check')).toMatchObject({
      reason: 'new audit',
      hasTable: false,
      batches: [null],
    })
    expect(due(state.plan(audited))).toEqual([])
    expect(changes(state.plan({ ...audited, check: { ...audited['check'], data: '2' } }))).toEqual({
      check: 'metadata: its definition changed',
    })
    // A changed seed is read through a view, an incremental model's new day through another one.
    const next = state.plan(audited, { now: '2024-01-05' })
    expect(find(next, 'check')).toMatchObject({ category: null, reason: 'what it reads is written' })
  })
})

function catchError(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('expected an error')
}
