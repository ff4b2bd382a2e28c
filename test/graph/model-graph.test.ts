import { describe, expect, test } from 'vitest'
import type { MillraceError } from '../../src/errors.ts'
import { ProjectError } from '../../src/errors.ts'
import type { GraphNode } from '../../src/graph/model-graph.ts'
import { createModelGraph } from '../../src/graph/model-graph.ts'
import type { Model } from '../../src/project/model.ts'

/** `{ 'a.b': ['a.c'] }`: a.b reads a.c. */
function nodesOf(reads: Record<string, string[]>): GraphNode[] {
  return Object.entries(reads).map(([name, depends_on]) => ({
    name,
    kind: { name: 'FULL' },
    tags: [],
    file: `models/${name}.sql`,
    line: 3,
    depends_on,
  }))
}

function graphOf(reads: Record<string, string[]>) {
  return createModelGraph(nodesOf(reads))
}

function problemsOf(reads: Record<string, string[]>): readonly MillraceError[] {
  try {
    graphOf(reads)
  } catch (error) {
    if (error instanceof ProjectError) return error.problems
    throw error
  }
  throw new Error('the graph was accepted')
}

describe('links', () => {
  //          ┌─→ b.left ──┐
  //  a.top ──┤            ├─→ c.end ─→ d.last
  //          └─→ b.right ─┘      ↑
  //  raw.events (external) ──────┘
  const graph = graphOf({
    'd.last': ['c.end'],
    'c.end': ['b.right', 'raw.events', 'b.left', 'b.left'],
    'b.left': ['a.top'],
    'b.right': ['a.top'],
    'a.top': [],
  })

  test('parents and children are sorted by name, once each, without externals', () => {
    expect(graph.parents('c.end')).toEqual(['b.left', 'b.right'])
    expect(graph.children('a.top')).toEqual(['b.left', 'b.right'])
    expect(graph.parents('a.top')).toEqual([])
    expect(graph.children('d.last')).toEqual([])
    expect(graph.has('raw.events')).toBe(false)
  })

  test('edges go from parent to child', () => {
    expect(graph.edges()).toEqual([
      ['a.top', 'b.left'],
      ['a.top', 'b.right'],
      ['b.left', 'c.end'],
      ['b.right', 'c.end'],
      ['c.end', 'd.last'],
    ])
  })

  test('ancestors and descendants stop at the depth', () => {
    expect([...graph.ancestors('d.last')]).toEqual(['a.top', 'b.left', 'b.right', 'c.end'])
    expect([...graph.ancestors('d.last', 2)]).toEqual(['b.left', 'b.right', 'c.end'])
    expect([...graph.ancestors('d.last', 0)]).toEqual([])
    expect([...graph.descendants('b.left')]).toEqual(['c.end', 'd.last'])
    expect([...graph.descendants('a.top', 1)]).toEqual(['b.left', 'b.right'])
  })

  test('several models are asked at once, and are not among the answer', () => {
    expect([...graph.ancestors(['b.left', 'd.last'], 1)]).toEqual(['a.top', 'c.end'])
    expect([...graph.descendants(['a.top', 'b.left'], 1)]).toEqual(['b.right', 'c.end'])
  })

  test('get returns the node that came in', () => {
    expect(graph.get('b.left')).toMatchObject({ name: 'b.left', file: 'models/b.left.sql' })
  })

  test('an unknown name is an error that suggests the nearest', () => {
    const asks = ['get', 'parents', 'children', 'ancestors', 'descendants'] as const
    for (const ask of asks) {
      expect(() => graph[ask]('b.lift')).toThrow(
        expect.objectContaining({ code: 'UNKNOWN_MODEL', hint: "Did you mean 'b.left'?" }),
      )
    }
  })

  test('a Model of the project is a node', () => {
    const typed = (models: Model[]): Model[] => models.map(({ name }) => createModelGraph(models).get(name))
    expect(typed([])).toEqual([])
  })
})

describe('order', () => {
  test('names come by layer, then by name, whatever the order of the files', () => {
    //  z.root ─→ b.mid ─→ a.end
    //  y.root ─────────────↑
    //  c.alone
    const reads = { 'z.root': [], 'b.mid': ['z.root'], 'a.end': ['y.root', 'b.mid'], 'y.root': [], 'c.alone': [] }
    const expected = ['c.alone', 'y.root', 'z.root', 'b.mid', 'a.end']
    expect(graphOf(reads).names).toEqual(expected)
    expect(createModelGraph(nodesOf(reads).reverse()).names).toEqual(expected)
  })

  test('10,000 models, 2,000 layers deep, are linked and walked', () => {
    //  l0.m0 … l0.m4
    //   ↓  ╲  …          each model reads its two neighbours above
    //  l1.m0 … l1.m4
    const reads: Record<string, string[]> = {}
    for (let layer = 0; layer < 2_000; layer++) {
      for (let at = 0; at < 5; at++) {
        reads[`l${layer}.m${at}`] = layer === 0 ? [] : [`l${layer - 1}.m${at}`, `l${layer - 1}.m${(at + 1) % 5}`]
      }
    }
    const graph = graphOf(reads)
    const position = new Map(graph.names.map((name, index) => [name, index]))
    expect(graph.names).toHaveLength(10_000)
    expect(graph.edges().every(([parent, child]) => position.get(parent)! < position.get(child)!)).toBe(true)
    expect(graph.ancestors('l1999.m0').size).toBe(2 + 3 + 4 + 1_996 * 5)
    expect(graph.descendants('l0.m0', 1)).toEqual(new Set(['l1.m0', 'l1.m4']))
  })
})

describe('cycles', () => {
  test('a cycle is an error with its whole path, the first file and a hint', () => {
    //  a.b ─→ a.d ─→ a.c ─→ a.b      (a.b reads a.c reads a.d reads a.b)
    //  e.x reads a.b and is no part of it
    const problems = problemsOf({ 'e.x': ['a.b'], 'a.c': ['a.d'], 'a.d': ['a.b'], 'a.b': ['a.c'], 'f.y': [] })
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatchObject({ code: 'CYCLE', file: 'models/a.b.sql', line: 3, hint: expect.any(String) })
    expect(problems[0]?.message).toContain('a.b → a.c → a.d → a.b')
  })

  test('a cycle through an audit says so', () => {
    const nodes = nodesOf({ 'a.b': [], 'a.c': ['a.b'] }).map((node) => ({
      ...node,
      audit_depends_on: node.name === 'a.b' ? ['a.c'] : [],
    }))
    expect(() => createModelGraph(nodes)).toThrow(ProjectError)
    try {
      createModelGraph(nodes)
    } catch (error) {
      expect(error).toMatchObject({
        problems: [{ code: 'CYCLE', hint: expect.stringContaining("The audits of 'a.b' read the next one") }],
      })
    }
  })

  test('what audits read comes before, and is no parent of the rows', () => {
    const nodes = nodesOf({ 'a.b': ['x.y'], 'x.y': [], 'z.z': [] }).map((node) => ({
      ...node,
      audit_depends_on: node.name === 'a.b' ? ['z.z', 'a.b'] : [],
    }))
    const graph = createModelGraph(nodes)
    expect(graph.names).toEqual(['x.y', 'z.z', 'a.b'])
    expect({ parents: graph.parents('a.b'), data: graph.dataParents('a.b'), children: graph.children('z.z') }).toEqual({
      parents: ['x.y', 'z.z'],
      data: ['x.y'],
      children: ['a.b'],
    })
  })

  test('the shortest way round is shown', () => {
    //  a ⇄ b,  and  a ─→ d ─→ c ─→ b ─→ a
    const problems = problemsOf({ a: ['b'], b: ['c', 'a'], c: ['d'], d: ['a'] })
    expect(problems.map((problem) => problem.message)).toEqual([expect.stringContaining('a → b → a')])
  })

  test('cycles apart from each other are all shown, models between them are not', () => {
    //  a ⇄ b ─→ m ─→ x ⇄ y
    const problems = problemsOf({ a: ['b'], b: ['a'], m: ['b'], x: ['m', 'y'], y: ['x'] })
    expect(problems.map((problem) => problem.message)).toEqual([
      expect.stringContaining('a → b → a'),
      expect.stringContaining('x → y → x'),
    ])
  })

  test('a model that reads itself makes no cycle', () => {
    const graph = graphOf({ 'a.b': ['a.b', 'a.c'], 'a.c': [] })
    expect(graph.parents('a.b')).toEqual(['a.c'])
    expect(graph.children('a.b')).toEqual([])
  })

  test('a cycle of 2,000 models is found', () => {
    const reads = Object.fromEntries(Array.from({ length: 2_000 }, (_, at) => [`m${at}`, [`m${(at + 1) % 2_000}`]]))
    expect(problemsOf(reads)[0]?.message.split(' → ')).toHaveLength(2_001)
  })
})

test('two models of one name are an error that shows both files', () => {
  const [node] = nodesOf({ 'a.b': [] })
  expect(() => createModelGraph([node!, { ...node!, file: 'models/copy.sql' }])).toThrow(
    expect.objectContaining({
      code: 'DUPLICATE_MODEL',
      file: 'models/copy.sql',
      message: expect.stringMatching(/models\/a\.b\.sql.*models\/copy\.sql/),
    }),
  )
})

test('a project without models is an empty graph', () => {
  const graph = graphOf({})
  expect([graph.names, graph.edges()]).toEqual([[], []])
})
