import { describe, expect, test } from 'vitest'
import type { GraphFormat } from '../../src/graph/draw.ts'
import { drawGraph, GRAPH_FORMATS } from '../../src/graph/draw.ts'
import { createModelGraph } from '../../src/graph/model-graph.ts'

function model(name: string, kind: string, ...depends_on: string[]) {
  return { name, kind: { name: kind }, tags: [], file: `models/${name}.sql`, depends_on }
}

//  raw.orders (SEED) ─→ stg.orders (VIEW) ─┬─→ mart.revenue (FULL)
//                       stg.rates (FULL) ──┘
//                           ↑ ext.rates, external
const graph = createModelGraph([
  model('mart.revenue', 'FULL', 'stg.orders', 'stg.rates'),
  model('stg.orders', 'VIEW', 'raw.orders'),
  model('stg.rates', 'FULL', 'ext.rates'),
  model('raw.orders', 'SEED'),
])
const odd = createModelGraph([
  model('a."b\\c"', 'FULL'),
  model('end', 'VIEW', 'a."b\\c"', '<#&`>'),
  model('<#&`>', 'FULL'),
])
const empty = createModelGraph([])

describe('text', () => {
  test('shows layers, kinds and what each model reads', () => {
    expect(drawGraph(graph, 'text')).toBe(
      [
        'Layer 1',
        '  raw.orders    SEED',
        '  stg.rates     FULL',
        '',
        'Layer 2',
        '  stg.orders    VIEW  ← raw.orders',
        '',
        'Layer 3',
        '  mart.revenue  FULL  ← stg.orders, stg.rates',
      ].join('\n'),
    )
  })

  test('says that there are no models', () => {
    expect(drawGraph(empty, 'text')).toBe('No models')
  })
})

describe('mermaid', () => {
  test('is a flowchart with quoted labels', () => {
    expect(drawGraph(graph, 'mermaid')).toBe(
      [
        'flowchart LR',
        '  m0["raw.orders<br/>SEED"]',
        '  m1["stg.rates<br/>FULL"]',
        '  m2["stg.orders<br/>VIEW"]',
        '  m3["mart.revenue<br/>FULL"]',
        '  m0 --> m2',
        '  m1 --> m3',
        '  m2 --> m3',
      ].join('\n'),
    )
  })

  test('writes special characters as codes', () => {
    expect(drawGraph(odd, 'mermaid').split('\n').slice(1, 4)).toEqual([
      '  m0["#60;#35;#38;#96;#62;<br/>FULL"]',
      '  m1["a.#34;b#92;c#34;<br/>FULL"]',
      '  m2["end<br/>VIEW"]',
    ])
  })
})

describe('dot', () => {
  test('is a digraph with quoted names', () => {
    expect(drawGraph(graph, 'dot')).toBe(
      [
        'digraph models {',
        '  rankdir=LR',
        '  node [shape=box]',
        String.raw`  "raw.orders" [label="raw.orders\nSEED"]`,
        String.raw`  "stg.rates" [label="stg.rates\nFULL"]`,
        String.raw`  "stg.orders" [label="stg.orders\nVIEW"]`,
        String.raw`  "mart.revenue" [label="mart.revenue\nFULL"]`,
        '  "raw.orders" -> "stg.orders"',
        '  "stg.rates" -> "mart.revenue"',
        '  "stg.orders" -> "mart.revenue"',
        '}',
      ].join('\n'),
    )
  })

  test('escapes quotes and backslashes', () => {
    expect(drawGraph(odd, 'dot')).toContain(String.raw`  "a.\"b\\c\"" -> "end"`)
  })
})

describe('json', () => {
  test('has models and edges, and nothing else', () => {
    expect(JSON.parse(drawGraph(graph, 'json'))).toEqual({
      models: ['raw.orders', 'stg.rates', 'stg.orders', 'mart.revenue'],
      edges: [
        ['raw.orders', 'stg.orders'],
        ['stg.rates', 'mart.revenue'],
        ['stg.orders', 'mart.revenue'],
      ],
    })
    expect(JSON.parse(drawGraph(empty, 'json'))).toEqual({ models: [], edges: [] })
  })
})

test.each<GraphFormat>([...GRAPH_FORMATS])('%s names every model of a graph 2,000 layers deep', (format) => {
  const chain = createModelGraph(
    Array.from({ length: 2_000 }, (_, at) => model(`m${at}.x`, 'FULL', ...(at === 0 ? [] : [`m${at - 1}.x`]))),
  )
  const text = drawGraph(chain, format)
  for (const name of chain.names) expect(text.includes(name)).toBe(true)
})
