/**
 * The selection grammar: an expression → the models it names.
 *
 *   expression    one or more groups, separated by spaces: their union
 *   group         one or more terms, separated by commas: their intersection
 *   term          [@ | N+] [method:] value [+N]
 *   method        tag, kind, path; without one, the value is a model's name
 *
 * Values take the wildcards `*`, `?`, `[abc]`, `[!abc]`. Whatever cannot be evaluated or matches nothing is an error:
 * a build that silently does nothing, or everything, is worse than none. Pure.
 */
import { MillraceError, nearest } from '../errors.ts'
import type { GraphNode, ModelGraph } from './model-graph.ts'

export interface Selection {
  /** Default: every model. */
  select?: string | null
  /** Taken away from what is selected. Default: nothing. */
  exclude?: string | null
}

/**
 * The names of the models that are selected and not excluded, in the graph's order.
 * Throws `SELECTION` for a term that cannot be read or matches nothing, for a group that matches nothing, and when all
 * is excluded; `NOT_YET` for methods that come with a later version.
 */
export function selectModels(graph: ModelGraph, selection: Selection): Set<string> {
  const { select = null, exclude = null } = selection
  const selected = select === null ? new Set(graph.names) : evaluate(graph, select, 'select')
  if (exclude === null) return new Set(graph.names.filter((name) => selected.has(name)))
  const excluded = evaluate(graph, exclude, 'exclude')
  const left = graph.names.filter((name) => selected.has(name) && !excluded.has(name))
  if (left.length === 0) {
    const from = select === null ? 'all models' : `'${select}'`
    throw new MillraceError('SELECTION', `Expected a model to be left, but exclude '${exclude}' takes away ${from}`, {
      hint: 'Exclude less, or select more.',
    })
  }
  return new Set(left)
}

type Option = 'select' | 'exclude'

interface Term {
  /** As written. */
  text: string
  option: Option
  method: Method
  value: string
  /** `@`: with all descendants and everything those read. */
  closed: boolean
  /** How many steps up and down belong to it; 0 without a `+`. */
  up: number
  down: number
}

interface Method {
  /** What the values are, in the plural. */
  label: string
  /** Every value that would match the model: for matching, and for hints. */
  valuesOf(node: GraphNode): readonly string[]
  matcher(value: string): (candidate: string) => boolean
}

const BY_NAME: Method = {
  label: 'names',
  valuesOf: (node) => [node.name],
  matcher: (value) => globMatcher(value, { flags: 'iu', wild: '.' }),
}

/** For a value without a dot that is no model's whole name. */
const BY_LAST_PART: Method = { ...BY_NAME, valuesOf: (node) => [lastPart(node.name)] }

const METHODS: ReadonlyMap<string, Method> = new Map([
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
])

const LATER_METHODS: ReadonlySet<string> = new Set(['state', 'result'])

function evaluate(graph: ModelGraph, text: string, option: Option): Set<string> {
  const groups = text.split(/\s+/).filter((group) => group !== '')
  if (groups.length === 0) {
    throw new MillraceError('SELECTION', `Expected ${option} to name models, got an empty text`, {
      hint: `Leave ${option} out, or write a name, tag:…, kind:… or path:….`,
    })
  }
  const union = new Set<string>()
  for (const group of groups) for (const name of evaluateGroup(graph, group, option)) union.add(name)
  return union
}

function evaluateGroup(graph: ModelGraph, text: string, option: Option): Set<string> {
  const sets = text.split(',').map((term) => {
    if (term !== '') return evaluateTerm(graph, parseTerm(term, option))
    throw unreadable(text, option, 'A comma stands between two terms, without spaces: tag:a,tag:b.')
  })
  const common = sets.reduce((left, right) => new Set([...left].filter((name) => right.has(name))))
  if (common.size > 0) return common
  throw new MillraceError('SELECTION', `Expected a model that matches all of '${text}' in ${option}, got none`, {
    hint: 'A comma is "and"; for "or", use a space.',
  })
}

function parseTerm(text: string, option: Option): Term {
  const parts = /^(@)?(?:(\d*)\+)?(?:(\w[\w.]*):)?(.*?)(?:\+(\d*))?$/s.exec(text)
  const [, at, up, methodName, value = '', down] = parts ?? []
  if (at !== undefined && (up !== undefined || down !== undefined)) {
    throw unreadable(text, option, 'Use @m, or +m and m+; @m has the descendants and all they read already.')
  }
  if (value === '' || /^[+@]|\+$/.test(value)) {
    throw unreadable(text, option, 'A term is [@ or N+][method:]value[+N], like stg.orders, 2+stg.orders+, @tag:daily.')
  }
  return {
    text,
    option,
    method: methodName === undefined ? BY_NAME : findMethod(methodName, text, option),
    value,
    closed: at !== undefined,
    up: toDepth(up),
    down: toDepth(down),
  }
}

function toDepth(digits: string | undefined): number {
  if (digits === undefined) return 0
  return digits === '' ? Infinity : Number(digits)
}

function findMethod(written: string, text: string, option: Option): Method {
  const name = written.toLowerCase()
  const method = METHODS.get(name)
  if (method !== undefined) return method
  if (LATER_METHODS.has(name)) {
    throw new MillraceError('NOT_YET', `Selecting by '${name}:' is not in this version, got '${text}' in ${option}`, {
      hint: 'Select by name, tag:, kind: or path: for now.',
    })
  }
  const near = nearest(name, METHODS.keys())
  const known = [...METHODS.keys()].map((method) => `${method}:`).join(', ')
  throw new MillraceError(
    'SELECTION',
    `Expected a name, ${known}; got the method '${written}:' in '${text}' of ${option}`,
    {
      hint: near === null ? `The methods are ${known}.` : `Did you mean '${near}:'?`,
    },
  )
}

function evaluateTerm(graph: ModelGraph, term: Term): Set<string> {
  let matched = matching(graph, term, term.method)
  if (matched.length === 0 && term.method === BY_NAME && !term.value.includes('.')) {
    matched = matching(graph, term, BY_LAST_PART)
  }
  if (matched.length === 0) {
    throw new MillraceError(
      'SELECTION',
      `Expected '${term.text}' in ${term.option} to match a model, it matches none`,
      {
        hint: hintFor(graph, term),
      },
    )
  }
  const down = graph.descendants(matched, term.closed ? Infinity : term.down)
  const up = term.closed ? graph.ancestors([...matched, ...down]) : graph.ancestors(matched, term.up)
  return new Set([...matched, ...down, ...up])
}

function matching(graph: ModelGraph, term: Term, method: Method): string[] {
  const matches = readMatcher(method, term)
  return graph.names.filter((name) => method.valuesOf(graph.get(name)).some(matches))
}

function readMatcher(method: Method, term: Term): (candidate: string) => boolean {
  try {
    return method.matcher(term.value)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw unreadable(term.text, term.option, 'In [a-z], the first character comes before the last.')
  }
}

function hintFor(graph: ModelGraph, term: Term): string {
  const nodes = graph.names.map((name) => graph.get(name))
  const known = new Set(nodes.flatMap((node) => term.method.valuesOf(node)))
  const short = term.method === BY_NAME ? nodes.map((node) => lastPart(node.name)) : []
  const near = /[*?[]/.test(term.value) ? null : nearest(term.value, [...known, ...short])
  if (near !== null) return `Did you mean '${near}'?`
  if (known.size === 0) return `No model has ${term.method.label}.`
  const shown = [...known].sort().slice(0, 12)
  const more = known.size > shown.length ? ` and ${known.size - shown.length} more` : ''
  return `Known ${term.method.label}: ${shown.join(', ')}${more}.`
}

function unreadable(text: string, option: Option, hint: string): MillraceError {
  return new MillraceError('SELECTION', `Expected ${option} to follow the selection grammar, got '${text}'`, { hint })
}

function lastPart(name: string): string {
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
