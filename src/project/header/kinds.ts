/** `kind NAME [(option value, …)]` → ModelKind with defaults filled in. */
import { MillraceError } from '../../errors.ts'
import { isToken, type Token } from '../../sql/lexer.ts'
import type { ModelKind } from '../model.ts'
import { closingIndex, splitAtCommas } from './brackets.ts'
import type { HeaderProblems } from './header-problems.ts'
import { headerProblem, knownHint } from './header-source.ts'
import { KIND_RULES, readKindOption, RUNTIME_OPTIONS, type HeaderKindName, type KindRule } from './kind-options.ts'
import { parseProperties, type HeaderValue, type Properties } from './properties.ts'
import { textOf } from './values.ts'
import { substituteVariables } from './variables.ts'

export interface KindDefaults {
  /** The project's format for a time column without one. */
  timeColumnFormat: string
  /** Options of `model_defaults` for kinds that have them and do not set them. */
  options: Partial<Pick<ModelKind, 'on_destructive_change' | 'on_additive_change' | 'batch_concurrency'>>
}

const KNOWN_KINDS = Object.keys(KIND_RULES)

/** Whether `option` is an option of some kind, and of which. */
export function kindsWithOption(option: string): string[] {
  return Object.entries(KIND_RULES).flatMap(([name, rule]) => (rule.options.includes(option) ? [name] : []))
}

/** @throws MillraceError for an unknown kind or a kind without what it needs; problems of options go to `problems`. */
export function readKind(value: HeaderValue, defaults: KindDefaults, problems: HeaderProblems): ModelKind {
  const name = readKindName(value)
  const rule = KIND_RULES[name]
  const countBefore = problems.count
  const written = readOptions(value, name, rule, problems)
  // After a misspelled option the missing one is most likely that.
  const misspelled = problems.count > countBefore
  for (const option of rule.required) {
    if (written.has(option) || misspelled) continue
    problems.add(
      headerProblem(
        value.source,
        value.tokens[0] ?? value.at,
        `expected '${option}' in kind ${name}; it is missing`,
        `write kind ${name} (${option} …)`,
      ),
    )
  }
  const kind: ModelKind = { name, ...rule.defaults, ...rule.fixed }
  for (const [option, setting] of Object.entries(defaults.options)) {
    const takesDefault = rule.options.includes(option) && !Object.hasOwn(rule.fixed ?? {}, option)
    if (takesDefault && setting !== undefined) Object.assign(kind, { [option]: setting })
  }
  for (const option of written.values()) {
    Object.assign(
      kind,
      problems.attempt({}, () => readOption(option, rule, defaults)),
    )
  }
  return kind
}

function readKindName(value: HeaderValue): HeaderKindName {
  const { source, tokens } = value
  const token = substituteVariables(
    { ...value, tokens: tokens.slice(0, isToken(tokens[1], '(') ? 1 : tokens.length) },
    'string',
  ).tokens[0]
  const name = token?.value.toUpperCase() ?? ''
  const at = token ?? value.at
  if (isKindName(name)) return name
  if (name === 'EXTERNAL') {
    throw headerProblem(
      source,
      at,
      'expected a kind that is built; EXTERNAL has no MODEL file',
      'declare it in external_models.yaml',
    )
  }
  if (name === 'AUDIT') {
    const hint = 'write AUDIT (name …, standalone true); and its query into a file of audits/'
    throw headerProblem(source, at, 'expected a kind that is built; AUDIT has no MODEL file', hint)
  }
  if (name === 'CUSTOM') {
    const hint = 'a custom materialization is Python; use one of the built-in kinds'
    throw new MillraceError('PYTHON', 'expected a built-in kind; got CUSTOM', { ...source.place(at), hint })
  }
  if (name === 'MANAGED' || name === 'DBT_CUSTOM') {
    throw headerProblem(source, at, `expected a kind that DuckDB has; got ${name}`, `Known: ${KNOWN_KINDS.join(', ')}`)
  }
  throw headerProblem(
    source,
    at,
    `expected a model kind; '${token?.value ?? ''}' is none`,
    knownHint(name, KNOWN_KINDS),
  )
}

function isKindName(name: string): name is HeaderKindName {
  return Object.hasOwn(KIND_RULES, name)
}

function readOptions(value: HeaderValue, name: string, rule: KindRule, problems: HeaderProblems): Properties {
  const { source, tokens } = value
  const [, open, ...rest] = tokens
  if (open === undefined) return new Map()
  if (!isToken(open, '(') || closingIndex(tokens, 1) !== tokens.length - 1) {
    const got = textOf(source, tokens)
    throw headerProblem(
      source,
      open,
      `expected kind ${name} or kind ${name} (…); got '${got}'`,
      'put a comma after each property',
    )
  }
  if (rule.options.length === 0) {
    throw headerProblem(source, open, `expected kind ${name} without brackets; it has no options`, `write kind ${name}`)
  }
  const names = {
    what: `property of kind ${name}`,
    known: rule.options,
    explain: (key: string) => {
      const kinds = kindsWithOption(key)
      return kinds.length === 0 ? null : `It belongs to ${kinds.join(', ')}. Known here: ${rule.options.join(', ')}`
    },
  }
  return parseProperties(source, joinAssignments(splitAtCommas(rest.slice(0, -1))), names, problems)
}

function readOption(option: HeaderValue, rule: KindRule, defaults: KindDefaults): Partial<ModelKind> {
  const value = RUNTIME_OPTIONS.has(option.key) ? option : substituteVariables(option, 'string')
  const read = readKindOption(value, defaults.timeColumnFormat)
  for (const [key, fixed] of Object.entries(rule.fixed ?? {})) {
    if (key !== option.key || Object.values(read)[0] === fixed) continue
    const got = textOf(value.source, value.tokens)
    throw headerProblem(
      value.source,
      option.at,
      `expected ${key} ${JSON.stringify(fixed)}, as this kind always has; got ${got}`,
      'remove it',
    )
  }
  return read
}

/** `when_matched` without brackets has commas of its own: `UPDATE SET a = 1, b = 2` goes on where `name =` or `t.name =` follows. */
function joinAssignments(parts: Token[][]): Token[][] {
  const joined: Token[][] = []
  for (const part of parts) {
    const last = joined.at(-1)
    const end = last?.at(-1)
    const goesOn = isToken(part[1], '=') || isToken(part[1], '.')
    if (last !== undefined && end !== undefined && isToken(last[0], 'when_matched') && goesOn) {
      last.push({ ...end, type: 'operator', text: ',', value: ',', start: end.end, end: end.end + 1 }, ...part)
    } else joined.push(part)
  }
  return joined
}
