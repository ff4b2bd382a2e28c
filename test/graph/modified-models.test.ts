import { expect, test } from 'vitest'
import { modifiedModels } from '../../src/graph/modified-models.ts'
import { TestState, type TestModel } from './plan-harness.ts'

const MODELS: Record<string, TestModel> = {
  'raw.seed': { kind: 'SEED', content: 'one' },
  'stg.a': { reads: ['raw.seed'] },
  'core.b': { reads: ['stg.a'] },
  'mart.c': { reads: ['core.b'], metadata: 'owner: x' },
}

function modified(state: TestState, models: Record<string, TestModel>): string[] {
  const { graph, ...known } = state.context(models)
  return [...modifiedModels(graph, known)].sort()
}

test('everything is modified in an environment that holds nothing, and nothing right after a build', () => {
  const state = new TestState()
  expect(modified(state, MODELS)).toEqual(Object.keys(MODELS).sort())
  state.build(MODELS)
  expect(modified(state, MODELS)).toEqual([])
})

test('a model is modified when it itself is new or changed, not when a parent is', () => {
  const state = new TestState()
  state.build(MODELS)
  const edited = { ...MODELS, 'stg.a': { reads: ['raw.seed'], data: 'another query' }, 'new.d': { reads: ['stg.a'] } }
  expect(modified(state, edited)).toEqual(['new.d', 'stg.a'])
  state.build(edited)
  expect(modified(state, edited)).toEqual([])
})

test("metadata and a seed's file count as the model's own", () => {
  const state = new TestState()
  state.build(MODELS)
  expect(modified(state, { ...MODELS, 'mart.c': { reads: ['core.b'], metadata: 'owner: y' } })).toEqual(['mart.c'])
  expect(modified(state, { ...MODELS, 'raw.seed': { kind: 'SEED', content: 'two' } })).toEqual(['raw.seed'])
})
