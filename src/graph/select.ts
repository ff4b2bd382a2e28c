/**
 * The selection grammar: an expression → the models it names.
 *
 *   expression    one or more groups, separated by spaces: their union
 *   group         one or more terms, separated by commas: their intersection
 *   term          [@ | N+] [method:] value [+N]
 *   method        tag, kind, path, state, result; without one, the value is a model's name
 *
 * `state:modified` and `result:failed` are told by the database: a selection gets them as facts.
 *
 * Values take the wildcards `*`, `?`, `[abc]`, `[!abc]`. Whatever cannot be evaluated or matches nothing is an error:
 * a build that silently does nothing, or everything, is worse than none. Pure.
 */
import { MillraceError, nearest } from '../errors.ts'
import type { ModelGraph } from './model-graph.ts'
import { BY_LAST_PART, BY_NAME, lastPart, METHODS, type Method, type SelectionFacts } from './selection-methods.ts'

export interface Selection {
  /** Default: every model. */
  select?: string | null
  /** Taken away from what is selected. Default: nothing. */
  exclude?: string | null
}

/** `later`: the database will be asked. Null: it will not. */
export type Facts = SelectionFacts | 'later' | null

/**
 * The names of the models that are selected and not excluded, in the graph's order. What is to be asked later is taken for anything:
 * then only models that are selected in any case are named, and nothing is said of sets that may be empty.
 * Throws `SELECTION` for a term that cannot be read or matches nothing, for a group that matches nothing, when all
 * is excluded, and for terms that need facts when there are none.
 */
export function selectModels(graph: ModelGraph, selection: Selection, facts: Facts = null): Set<string> {
  const { select = null, exclude = null } = selection
  const selected =
    select === null
      ? { names: new Set(graph.names), open: false }
      : evaluate({ graph, facts, option: 'select' }, select)
  if (exclude === null) return new Set(graph.names.filter((name) => selected.names.has(name)))
  const excluded = evaluate({ graph, facts, option: 'exclude' }, exclude)
  if (excluded.open) return new Set()
  const left = graph.names.filter((name) => selected.names.has(name) && !excluded.names.has(name))
  if (left.length === 0 && !selected.open) {
    const from = select === null ? 'all models' : `'${select}'`
    throw new MillraceError('SELECTION', `Expected a model to be left, but exclude '${exclude}' takes away ${from}`, {
      hint: 'Exclude less, or select more.',
    })
  }
  return new Set(left)
}

/** Whether a selection may ask for what only the database knows. */
export function needsFacts({ select, exclude }: Selection): boolean {
  return [select, exclude].some((text) => text != null && /(?:state|result):/i.test(text))
}

type Option = 'select' | 'exclude'

/** What every part of an expression is evaluated in. */
interface Scope {
  graph: ModelGraph
  facts: Facts
  option: Option
}

interface Evaluated {
  names: ReadonlySet<string>
  /** There may be more: that is to be asked later. */
  open: boolean
}

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

function evaluate(scope: Scope, text: string): Evaluated {
  const groups = text.split(/\s+/).filter((group) => group !== '')
  if (groups.length === 0) {
    throw new MillraceError('SELECTION', `Expected ${scope.option} to name models, got an empty text`, {
      hint: `Leave ${scope.option} out, or write a name, tag:…, kind:… or path:….`,
    })
  }
  const sets = groups.map((group) => evaluateGroup(scope, group))
  return { names: new Set(sets.flatMap(({ names }) => [...names])), open: sets.some(({ open }) => open) }
}

function evaluateGroup(scope: Scope, text: string): Evaluated {
  const sets = text.split(',').map((term) => {
    if (term !== '') return evaluateTerm(scope, parseTerm(term, scope.option))
    throw unreadable(text, scope.option, 'A comma stands between two terms, without spaces: tag:a,tag:b.')
  })
  const common = sets.reduce((left, right) => ({
    names: new Set([...left.names].filter((name) => right.names.has(name))),
    open: left.open || right.open,
  }))
  if (common.open || common.names.size > 0) return common
  throw new MillraceError('SELECTION', `Expected a model that matches all of '${text}' in ${scope.option}, got none`, {
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

function evaluateTerm(scope: Scope, term: Term): Evaluated {
  const { graph, facts } = scope
  if (term.method.fact !== undefined) assertFact(term, facts)
  if (term.method.fact !== undefined && facts === 'later') return { names: new Set(), open: true }
  let matched = matching(scope, term, term.method)
  if (matched.length === 0 && term.method === BY_NAME && !term.value.includes('.')) {
    matched = matching(scope, term, BY_LAST_PART)
  }
  if (matched.length === 0) {
    throw new MillraceError(
      'SELECTION',
      `Expected '${term.text}' in ${term.option} to match a model, it matches none`,
      {
        hint: term.method.fact?.none ?? hintFor(graph, term),
      },
    )
  }
  const down = graph.descendants(matched, term.closed ? Infinity : term.down)
  const up = term.closed ? graph.ancestors([...matched, ...down]) : graph.ancestors(matched, term.up)
  return { names: new Set([...matched, ...down, ...up]), open: false }
}

function assertFact({ method: { fact, label }, value, text, option }: Term, facts: Facts): void {
  if (fact === undefined) return
  if (value.toLowerCase() !== fact.value) {
    throw new MillraceError('SELECTION', `Expected '${text}' in ${option} to match a model, it matches none`, {
      hint: `Known ${label}: ${fact.value}.`,
    })
  }
  if (facts !== null) return
  throw new MillraceError(
    'SELECTION',
    `Expected ${option} to name models by what the project's files say; got '${text}', which only the database knows`,
    { hint: 'Use it with plan or build: they open the database.' },
  )
}

function matching({ graph, facts }: Scope, term: Term, method: Method): string[] {
  const matches = readMatcher(method, term)
  const known = facts === 'later' ? null : facts
  return graph.names.filter((name) => method.valuesOf(graph.get(name), known).some(matches))
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
  const known = new Set(nodes.flatMap((node) => term.method.valuesOf(node, null)))
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
