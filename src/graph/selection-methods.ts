/** What the terms of a selection can name models by: each method, and the values a model has by it. Pure. */
import type { GraphNode } from './model-graph.ts'

/** What the database knows of models and a selection may ask for: by its value, the names of the models. */
export interface SelectionFacts {
  /** New to the environment, or changed themselves; not those of which only a parent is. */
  modified: ReadonlySet<string>
  /** In the environment's latest build that has ended. */
  failed: ReadonlySet<string>
}

export interface Method {
  /** What the values are, in the plural. */
  label: string
  /** The only value, of methods that the database answers; and what it means when no model has it. */
  fact?: { value: keyof SelectionFacts; none: string }
  /** Every value that would match the model: for matching, and for hints. */
  valuesOf(node: GraphNode, facts: SelectionFacts | null): readonly string[]
  matcher(value: string): (candidate: string) => boolean
}

export const BY_NAME: Method = {
  label: 'names',
  valuesOf: (node) => [node.name],
  matcher: (value) => globMatcher(value, { flags: 'iu', wild: '.' }),
}

/** For a value without a dot that is no model's whole name. */
export const BY_LAST_PART: Method = { ...BY_NAME, valuesOf: (node) => [lastPart(node.name)] }

export const METHODS: ReadonlyMap<string, Method> = new Map([
  [
    'tag',
    {
      label: 'tags',
      valuesOf: (node) => node.tags,
      matcher: (value) => globMatcher(value, { flags: 'u', wild: '.' }),
    },
  ],
  [
    'kind',
    {
      label: 'kinds',
      valuesOf: (node) => [node.kind.name],
      matcher: (value) => globMatcher(value, { flags: 'iu', wild: '.' }),
    },
  ],
  [
    'path',
    {
      label: 'paths',
      valuesOf: (node) => withFolders(node.file),
      matcher: (value) => globMatcher(plainPath(value), { flags: 'u', wild: '[^/]' }),
    },
  ],
  ['state', factMethod('states', { value: 'modified', none: 'Every model is as the environment has it.' })],
  ['result', factMethod('results', { value: 'failed', none: 'No model failed in the latest build that has ended.' })],
])

function factMethod(label: string, fact: NonNullable<Method['fact']>): Method {
  return {
    label,
    fact,
    valuesOf: (node, facts) => (facts?.[fact.value].has(node.name) === true ? [fact.value] : []),
    matcher: (value) => (candidate) => candidate === value.toLowerCase(),
  }
}

export function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1)
}

/** The file, every folder above it, and `.` for the project: a path names a file or all that is in a folder. */
function withFolders(file: string): string[] {
  const parts = file.split('/')
  return ['.', ...parts.map((_, index) => parts.slice(0, index + 1).join('/'))]
}

/** `./models/`, `models\`, `models` → `models`. */
function plainPath(path: string): string {
  const plain = path
    .replaceAll('\\', '/')
    .replace(/^(?:\.\/+)+/, '')
    .replace(/\/+$/, '')
  return plain === '' && path.startsWith('.') ? '.' : plain
}

/** Matches the pattern taken literally, and as wildcards; `wild` is what `?` stands for, `**` crosses it. Throws SyntaxError for a range like `[z-a]`. */
function globMatcher(
  pattern: string,
  { flags, wild }: { flags: string; wild: string },
): (candidate: string) => boolean {
  const source = pattern.replaceAll(
    /(?<deep>\*\*\/)|(?<stars>\*+)|(?<one>\?)|\[(?<not>!?)(?<set>\]?[^\]]+|\])\]|[\\^$.+()[\]{}|/]/g,
    (match, ...rest) => {
      const { deep, stars, one, not, set }: Record<string, string | undefined> = rest.at(-1)
      if (deep !== undefined) return '(?:.*/)?'
      if (stars !== undefined) return stars.length > 1 ? '.*' : `${wild}*`
      if (one !== undefined) return wild
      if (set !== undefined) return `[${not === '!' ? '^' : ''}${set.replaceAll(/[\\[\]^]/g, String.raw`\$&`)}]`
      return `\\${match}`
    },
  )
  const glob = new RegExp(`^${source}$`, `${flags}s`)
  const literal = flags.includes('i') ? pattern.toLowerCase() : pattern
  return (candidate) => glob.test(candidate) || (flags.includes('i') ? candidate.toLowerCase() : candidate) === literal
}
