/** Which model reads which: the graph every plan, selection and picture is made from. Pure. */
import { MillraceError, nearest, ProjectError } from '../errors.ts'

/** What the graph needs to know of a model; `Model` has it. */
export interface GraphNode {
  name: string
  kind: { name: string }
  tags: readonly string[]
  /** Relative to the project, `/` as separator. */
  file: string
  /** Where the model starts in its file, from 1. */
  line?: number
  /** Names it reads. A name that is no node is external and makes no edge; its own name makes none either. */
  depends_on: readonly string[]
  /** Names that its audits read, besides: they come before it, and a change of theirs is none of it. */
  audit_depends_on?: readonly string[]
}

/** Links `nodes` by name. Throws a ProjectError with every cycle (`CYCLE`, its whole path) and every name that comes twice (`DUPLICATE_MODEL`). */
export function createModelGraph<N extends GraphNode>(nodes: Iterable<N>): ModelGraph<N> {
  const byName = new Map<string, N>()
  const problems: MillraceError[] = []
  for (const node of nodes) {
    const first = byName.get(node.name)
    if (first === undefined) byName.set(node.name, node)
    else problems.push(duplicate(first, node))
  }
  const links = linkNodes(byName)
  const names = orderByLayer(links)
  if (names.length < links.size) {
    const placed = new Set(names)
    const stuck = [...links.keys()].filter((name) => !placed.has(name))
    problems.push(...findCycles(links, stuck).map((path) => cycle(path, byName)))
  }
  if (problems.length > 0) throw new ProjectError(problems)
  return new ModelGraph(names, byName, links)
}

/** An acyclic graph; `createModelGraph` makes it. All methods but `has` throw `UNKNOWN_MODEL` for a name that is not in it. */
export class ModelGraph<N extends GraphNode = GraphNode> {
  /** Parents before children: by layer (the longest way from a model without parents), then by name. */
  readonly names: readonly string[]
  readonly #nodes: ReadonlyMap<string, N>
  readonly #links: ReadonlyMap<string, Links>
  readonly #positions: ReadonlyMap<string, number>

  constructor(names: readonly string[], nodes: ReadonlyMap<string, N>, links: ReadonlyMap<string, Links>) {
    this.names = names
    this.#nodes = nodes
    this.#links = links
    this.#positions = new Map(names.map((name, position) => [name, position]))
  }

  has(name: string): boolean {
    return this.#nodes.has(name)
  }

  get(name: string): N {
    return this.#nodes.get(name) ?? this.#unknown(name)
  }

  /** The models `name` reads, by its audits too, sorted by name; itself and externals are not among them. */
  parents(name: string): readonly string[] {
    return this.#linksOf(name).parents
  }

  /** Those of its parents that its own rows come from. */
  dataParents(name: string): readonly string[] {
    const { depends_on } = this.get(name)
    return this.parents(name).filter((parent) => depends_on.includes(parent))
  }

  /** The models that read `name`, sorted by name. */
  children(name: string): readonly string[] {
    return this.#linksOf(name).children
  }

  /** Everything that one model or several read, directly or through others, up to `depth` steps away; without the given models themselves, in the order of `names`. */
  ancestors(of: string | Iterable<string>, depth: number = Infinity): Set<string> {
    return this.#reach(of, 'parents', depth)
  }

  /** Everything that reads one model or several, directly or through others, up to `depth` steps away; without the given models themselves, in the order of `names`. */
  descendants(of: string | Iterable<string>, depth: number = Infinity): Set<string> {
    return this.#reach(of, 'children', depth)
  }

  /** `[parent, child]`, by parent in the order of `names`, then by the child's name. */
  edges(): [string, string][] {
    return this.names.flatMap((parent) => this.children(parent).map((child): [string, string] => [parent, child]))
  }

  #reach(of: string | Iterable<string>, direction: keyof Links, depth: number): Set<string> {
    const start = new Set(typeof of === 'string' ? [of] : of)
    const seen = new Set(start)
    let edge = [...start]
    for (let distance = 0; distance < depth && edge.length > 0; distance++) {
      const beyond: string[] = []
      for (const name of edge) {
        for (const next of this.#linksOf(name)[direction]) {
          if (seen.has(next)) continue
          seen.add(next)
          beyond.push(next)
        }
      }
      edge = beyond
    }
    return new Set([...seen].filter((name) => !start.has(name)).sort((a, b) => this.#position(a) - this.#position(b)))
  }

  #position(name: string): number {
    return this.#positions.get(name) ?? this.#unknown(name)
  }

  #linksOf(name: string): Links {
    return this.#links.get(name) ?? this.#unknown(name)
  }

  #unknown(name: string): never {
    const near = nearest(name, this.names)
    const hint = near === null ? 'The verb models lists the names.' : `Did you mean '${near}'?`
    throw new MillraceError('UNKNOWN_MODEL', `Expected the name of a model of this project, got '${name}'`, { hint })
  }
}

/** Both sorted by name. */
interface Links {
  parents: string[]
  children: string[]
}

/** Keys sorted by name. */
function linkNodes(nodes: ReadonlyMap<string, GraphNode>): Map<string, Links> {
  const sorted = [...nodes.keys()].sort()
  const links = new Map<string, Links>(sorted.map((name) => [name, { parents: [], children: [] }]))
  for (const [name, own] of links) {
    const node = nodes.get(name)
    const reads = new Set([...(node?.depends_on ?? []), ...(node?.audit_depends_on ?? [])])
    own.parents = [...reads].filter((parent) => parent !== name && links.has(parent)).sort()
    // Children are met in the order of their names, so these lists are sorted too.
    for (const parent of own.parents) links.get(parent)?.children.push(name)
  }
  return links
}

/** Layer by layer, each sorted by name. Models on a cycle or behind one are left out. */
function orderByLayer(links: ReadonlyMap<string, Links>): string[] {
  const names: string[] = []
  const waitsFor = new Map([...links].map(([name, { parents }]) => [name, parents.length]))
  let layer = [...links.keys()].filter((name) => waitsFor.get(name) === 0)
  while (layer.length > 0) {
    names.push(...layer)
    const next: string[] = []
    for (const child of layer.flatMap((name) => links.get(name)?.children ?? [])) {
      const left = (waitsFor.get(child) ?? 0) - 1
      waitsFor.set(child, left)
      if (left === 0) next.push(child)
    }
    layer = next.sort()
  }
  return names
}

/** One path per knot of models that all reach each other: the shortest through the first of them by name, e.g. `[a, b, a]`, each reading the next. */
function findCycles(links: ReadonlyMap<string, Links>, stuck: readonly string[]): string[][] {
  const cycles: string[][] = []
  const left = new Set(stuck)
  for (const name of stuck) {
    if (!left.has(name)) continue
    const reads = walk(links, { from: name, direction: 'parents', within: left })
    const path = pathBack(reads, name)
    if (path !== null) {
      cycles.push(path)
      for (const reader of walk(links, { from: name, direction: 'children', within: left }).keys()) {
        if (reads.has(reader)) left.delete(reader)
      }
    }
    left.delete(name)
  }
  return cycles
}

/** Breadth first: each name reached → the name it was reached from. `from` is in it only if a cycle leads back to it. */
function walk(
  links: ReadonlyMap<string, Links>,
  walk: { from: string; direction: keyof Links; within: ReadonlySet<string> },
): Map<string, string> {
  const reachedFrom = new Map<string, string>()
  const queue = [walk.from]
  for (const name of queue) {
    for (const next of links.get(name)?.[walk.direction] ?? []) {
      if (!walk.within.has(next) || reachedFrom.has(next)) continue
      reachedFrom.set(next, name)
      if (next !== walk.from) queue.push(next)
    }
  }
  return reachedFrom
}

function pathBack(reachedFrom: ReadonlyMap<string, string>, name: string): string[] | null {
  if (!reachedFrom.has(name)) return null
  const path = [name]
  for (let at = reachedFrom.get(name); at !== undefined && at !== name; at = reachedFrom.get(at)) path.push(at)
  return [...path, name].reverse()
}

function cycle(path: readonly string[], nodes: ReadonlyMap<string, GraphNode>): MillraceError {
  const auditing = path
    .slice(0, -1)
    .filter((name, index) => !nodes.get(name)?.depends_on.includes(path[index + 1] ?? ''))
  const byAudits = auditing.map((name) => `'${name}'`).join(', ')
  return new MillraceError(
    'CYCLE',
    `Expected models that do not read themselves through others, got ${path.join(' → ')} (each reads the next)`,
    {
      ...placeOf(nodes.get(path[0] ?? '')),
      hint:
        auditing.length === 0
          ? 'Take out one of these references, for example by moving what both sides need into a model of its own.'
          : `The audits of ${byAudits} read the next one: what an audit reads is built before. Move the audit to the other model, or make it standalone.`,
    },
  )
}

function duplicate(first: GraphNode, second: GraphNode): MillraceError {
  return new MillraceError(
    'DUPLICATE_MODEL',
    `Expected one model of the name '${second.name}', got one in ${first.file} and one in ${second.file}`,
    { ...placeOf(second), hint: 'Rename one of them.' },
  )
}

function placeOf(node: GraphNode | undefined): { file?: string; line?: number } {
  if (node === undefined) return {}
  return { file: node.file, ...(node.line === undefined ? {} : { line: node.line }) }
}
