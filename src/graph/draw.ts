/** A graph as text: for terminals, for Mermaid, for Graphviz, for programs. Pure. */
import type { ModelGraph } from './model-graph.ts'

export const GRAPH_FORMATS = ['text', 'mermaid', 'dot', 'json'] as const
export type GraphFormat = (typeof GRAPH_FORMATS)[number]

/**
 * The whole graph, without a line break at its end.
 * `json` is `{ models: [name], edges: [[parent, child]] }`; `text` has a block per layer, each model with its kind and what it reads.
 */
export function drawGraph(graph: ModelGraph, format: GraphFormat): string {
  return DRAWINGS[format](graph)
}

const DRAWINGS: Record<GraphFormat, (graph: ModelGraph) => string> = {
  text: drawText,
  mermaid: drawMermaid,
  dot: drawDot,
  json: (graph) => JSON.stringify({ models: graph.names, edges: graph.edges() }, null, 2),
}

function drawText(graph: ModelGraph): string {
  if (graph.names.length === 0) return 'No models'
  const nameWidth = longest(graph.names)
  const kindWidth = longest(graph.names.map((name) => graph.get(name).kind.name))
  const blocks = layersOf(graph).map((layer, index) => {
    const lines = layer.map((name) => {
      const parents = graph.parents(name)
      const reads = parents.length === 0 ? '' : `← ${parents.join(', ')}`
      return `  ${name.padEnd(nameWidth)}  ${graph.get(name).kind.name.padEnd(kindWidth)}  ${reads}`.trimEnd()
    })
    return [`Layer ${index + 1}`, ...lines].join('\n')
  })
  return blocks.join('\n\n')
}

/** A model's layer is one below the lowest of its parents. */
function layersOf(graph: ModelGraph): string[][] {
  const layers: string[][] = []
  const layerOf = new Map<string, number>()
  for (const name of graph.names) {
    let layer = 0
    for (const parent of graph.parents(name)) layer = Math.max(layer, (layerOf.get(parent) ?? 0) + 1)
    layerOf.set(name, layer)
    const models = layers[layer]
    if (models === undefined) layers[layer] = [name]
    else models.push(name)
  }
  return layers
}

function longest(texts: readonly string[]): number {
  return texts.reduce((width, text) => Math.max(width, text.length), 0)
}

/** Nodes have made-up ids: Mermaid takes no quoted ones, and a plain name like `end` is a keyword of it. */
function drawMermaid(graph: ModelGraph): string {
  const ids = new Map(graph.names.map((name, index) => [name, `m${index}`]))
  const nodes = graph.names.map((name) => {
    return `  ${ids.get(name)}["${mermaidText(name)}<br/>${mermaidText(graph.get(name).kind.name)}"]`
  })
  const edges = graph.edges().map(([parent, child]) => `  ${ids.get(parent)} --> ${ids.get(child)}`)
  return ['flowchart LR', ...nodes, ...edges].join('\n')
}

/** Mermaid has no escapes but character codes; a backtick would start Markdown. */
function mermaidText(text: string): string {
  return text.replaceAll(/["#&<>`;\\]/g, (char) => `#${char.codePointAt(0)};`)
}

function drawDot(graph: ModelGraph): string {
  const nodes = graph.names.map((name) => {
    return `  ${dotText(name)} [label=${dotText(name, graph.get(name).kind.name)}]`
  })
  const edges = graph.edges().map(([parent, child]) => `  ${dotText(parent)} -> ${dotText(child)}`)
  return ['digraph models {', '  rankdir=LR', '  node [shape=box]', ...nodes, ...edges, '}'].join('\n')
}

function dotText(...lines: string[]): string {
  return `"${lines.map((line) => line.replaceAll(/["\\]/g, String.raw`\$&`)).join(String.raw`\n`)}"`
}
